import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.neighbors import NearestNeighbors

from pipeline.core.errors import InputError
from pipeline.evaluation.uncertainty import outliers

TRAINING = outliers.normalized(np.random.default_rng(0).normal(size=(300, 16)) + 2)
NEW = outliers.normalized(np.random.default_rng(1).normal(size=(100, 16)) + 2)
# Each training image in a group of its own.
EACH = np.arange(300)
LOGITS = np.random.default_rng(2).normal(size=(300, 4))


def scikit_learns(new, training, k):
    return NearestNeighbors(n_neighbors=k).fit(training).kneighbors(new)[0][:, -1]


def test_features_have_the_length_of_one_in_float16_and_zeros_stay():
    features = np.array([[3.0, 4.0], [0.0, 0.0], [3e20, 4e20]])
    assert outliers.normalized(features).tolist() == np.float16([[0.6, 0.8], [0, 0], [0.6, 0.8]]).tolist()


@pytest.mark.parametrize("k", [1, 3, 300])
def test_distances_are_those_of_scikit_learn(k):
    ours = outliers.distances(NEW, TRAINING, neighbors=k)
    np.testing.assert_allclose(ours, scikit_learns(NEW, TRAINING, k), atol=1e-3)


@pytest.mark.parametrize("k", [1, 4])
def test_a_training_image_is_left_out_of_its_own_neighbors(k):
    ours = outliers.distances(TRAINING, TRAINING, neighbors=k, unit=EACH)
    np.testing.assert_allclose(ours, scikit_learns(TRAINING, TRAINING, k + 1), atol=1e-3)
    assert ours.min() > 0.05


def test_more_neighbors_than_training_images_are_the_last():
    for unit in (None, EACH):
        ours = outliers.distances(TRAINING, TRAINING, neighbors=1000, unit=unit)
        np.testing.assert_allclose(ours, scikit_learns(TRAINING, TRAINING, 300), atol=1e-3)


def test_a_training_image_is_compared_with_those_of_other_groups():
    # Groups of one to many images.
    unit = np.sqrt(np.arange(300)).astype(np.int64)
    ours = outliers.distances(TRAINING, TRAINING, neighbors=1, unit=unit)
    theirs = [scikit_learns(TRAINING[[row]], TRAINING[unit != unit[row]], 1)[0] for row in range(300)]
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    # As many neighbors as an image of the largest group has.
    assert np.isfinite(outliers.distances(TRAINING, TRAINING, neighbors=1000, unit=unit)).all()


@pytest.mark.parametrize("unit", [None, EACH])
def test_blocks_give_the_distances_of_a_whole(monkeypatch, unit):
    whole = outliers.distances(TRAINING, TRAINING, neighbors=2, unit=unit)
    monkeypatch.setattr(outliers, "BLOCK", 7)
    np.testing.assert_allclose(outliers.distances(TRAINING, TRAINING, neighbors=2, unit=unit), whole, atol=1e-3)


def test_features_of_zero_are_far():
    assert outliers.distances(np.zeros((1, 16), np.float32), TRAINING, neighbors=1) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_energies_are_those_of_scipy_and_large_logits_do_not_overflow(dtype):
    logits = (500 * LOGITS).astype(dtype)
    np.testing.assert_allclose(outliers.energy(logits), -logsumexp(logits.astype(float), axis=1), rtol=1e-12)


def test_thresholds_are_from_held_out_images_where_there_are_some():
    fitted = outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True)
    assert (fitted.from_images, fitted.images, fitted.neighbors) == ("calibration", 300, 1)
    # The ceil(0.975 * 101)-th.
    assert fitted.distance == pytest.approx(np.sort(scikit_learns(NEW, TRAINING, 1))[98], abs=1e-3)
    assert fitted.energy == pytest.approx(np.sort(-logsumexp(LOGITS[:100], axis=1))[98])


def test_without_them_each_training_image_is_compared_with_the_others():
    fitted = outliers.fit(TRAINING, TRAINING, LOGITS, held_out=False)
    assert fitted.from_images == "training"
    # The nearest is the image itself; the ceil(0.975 * 301)-th.
    assert fitted.distance == pytest.approx(np.sort(scikit_learns(TRAINING, TRAINING, 2))[293], abs=1e-3)


def test_calibration_images_of_a_group_count_as_one():
    unit = np.arange(100) // 2
    fitted = outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True, unit=unit)
    # Of 50 the ceil(0.975 * 51)-th, which is the last.
    assert fitted.energy == outliers.energy(LOGITS[:100]).max()
    alone = outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True, unit=np.arange(100))
    assert alone == outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True)


@pytest.mark.parametrize("images", [38, 39])
def test_of_fewer_images_than_it_takes_the_largest_score_is_the_limit(images):
    fitted = outliers.fit(TRAINING, NEW[:images], LOGITS[:images], held_out=True)
    assert fitted.worth == images
    above = outliers.energy(LOGITS[:images]) >= fitted.energy
    assert above.sum() == 1
    # Two in forty above either is 5 %; in 39 it is more.
    assert (2 / (images + 1) <= outliers.FALSE_ALARMS) == (images >= outliers.FEWEST)
    groups = outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True, unit=np.arange(100) // 10)
    assert groups.worth == 10


def test_training_images_of_one_group_alone_are_compared_with_each_other():
    one = outliers.fit(TRAINING, TRAINING, LOGITS, held_out=False, unit=np.zeros(300, np.int64))
    assert np.isfinite(one.distance)


def test_thresholds_of_training_images_are_over_groups():
    unit = np.arange(300) // 3
    fitted = outliers.fit(TRAINING, TRAINING, LOGITS, held_out=False, unit=unit)
    distances = np.sort(outliers.distances(TRAINING, TRAINING, neighbors=1, unit=unit))
    # Of 100 the ceil(0.975 * 101)-th, at the same place among 300.
    assert fitted.distance == pytest.approx(distances[3 * 99 - 1])


@pytest.mark.parametrize("images", [39, 60, 100, 199])
def test_of_images_of_one_kind_at_most_one_in_twenty_is_strange_on_average(images):
    """Of n + 1 images that are alike each is as likely as others to be above n of them."""
    scores = np.arange(images, dtype=float)
    logits = np.stack([scores, np.full(images, -1e9)], axis=1)
    energy = outliers.fit(TRAINING, NEW[np.arange(images) % 100], logits, held_out=True).energy
    above = (-scores > energy).sum()
    assert (above + 1) / (images + 1) <= 0.025


def test_images_of_another_kind_are_strange_by_either_score_and_few_of_the_same_kind_are():
    fitted = outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True)
    rng = np.random.default_rng(3)
    more, sure = rng.normal(size=(2000, 16)) + 2, rng.normal(size=(2000, 4))
    alike = outliers.judge(fitted, TRAINING, more, sure)
    assert 0.01 < alike.strange.mean() < 0.1
    assert outliers.judge(fitted, TRAINING, -more, sure).strange.all()
    assert outliers.judge(fitted, TRAINING, more, sure - 10).strange.all()
    # The length of features is of no account.
    np.testing.assert_array_equal(outliers.judge(fitted, TRAINING, 8 * more, sure).strange, alike.strange)


def test_the_image_that_gave_the_threshold_is_not_strange():
    logits = LOGITS[:100].astype(np.float32)
    fitted = outliers.fit(TRAINING, NEW, logits, held_out=True)
    assert outliers.judge(fitted, TRAINING, NEW, logits).energy.max() > fitted.energy
    by_energy = np.flatnonzero(outliers.energy(logits) == fitted.energy)
    assert len(by_energy)
    judged = outliers.judge(fitted, TRAINING, np.ones((1, 16)), logits[by_energy])
    assert not judged.strange.any()


def test_an_image_whose_outputs_are_no_numbers_is_strange():
    fitted = outliers.fit(TRAINING, NEW, LOGITS[:100], held_out=True)
    features, logits = np.ones((3, 16)), np.ones((3, 4))
    features[0, 0] = logits[1, 0] = np.nan
    assert outliers.judge(fitted, TRAINING, features, logits).strange.tolist() == [True, True, False]


def test_features_or_logits_that_are_not_finite_fit_nothing_and_are_one_line():
    broken = np.where(np.arange(16) == 3, np.inf, NEW[:2])
    for training, new, logits, name in (
        (TRAINING, broken, LOGITS[:2], "features: not finite for 2 of 2 images"),
        (broken, NEW, LOGITS[:100], "features: not finite for 2 of 2 images"),
        (TRAINING, NEW[:1], np.full((1, 4), np.nan), "logits: not finite for 1 of 1 images"),
    ):
        with pytest.raises(InputError, match=name):
            outliers.fit(training, new, logits, held_out=True)
