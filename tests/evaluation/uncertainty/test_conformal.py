import judged
import numpy as np
import pytest
from scipy.stats import beta, betabinom, binom

from pipeline.evaluation.compare import units
from pipeline.evaluation.uncertainty import conformal
from pipeline.evaluation.uncertainty.temperature import probabilities

# Levels of which no multiple by these numbers of images + 1 is whole, see the test.
SIZES = (25, 60, 150, 600)


def usual(shares, labels, level):
    """The threshold of the usual rank, which reaches the level on average only."""
    scores = np.sort(1 - shares[np.arange(len(labels)), labels])
    return scores[int(np.ceil(level * (len(scores) + 1))) - 1]


# Importing crepes takes seconds.
@pytest.mark.slow
@pytest.mark.parametrize("images", SIZES)
@pytest.mark.parametrize("level", conformal.LEVELS)
def test_sets_at_the_usual_rank_are_those_of_crepes(images, level):
    import crepes

    # Where level * (n + 1) is whole, crepes keeps classes of p = 1 - level, and its rank is one higher.
    assert level * (images + 1) % 1 > 1e-9
    logits, labels = judged.drawn(images + 1000)
    shares = probabilities(logits)
    own, others = shares[:images], shares[images:]
    theirs = (
        crepes.ConformalClassifier()
        .fit(1 - own[np.arange(images), labels[:images]])
        .predict_set(1 - others, confidence=level, smoothing=False)
        .astype(bool)
    )
    theirs[np.arange(1000), others.argmax(1)] = True
    ours = conformal.sets(others, np.asarray(usual(own, labels[:images], level)))
    np.testing.assert_array_equal(ours, theirs)
    assert 1000 < ours.sum() < 5000


@pytest.mark.slow
@pytest.mark.parametrize("images", SIZES)
def test_sets_by_class_are_those_of_crepes_by_class(images):
    import crepes

    logits, labels = judged.drawn(images * 5 + 500)
    shares, known = probabilities(logits), images * 5
    own, others, labels = shares[:known], shares[known:], labels[:known]
    fitted = crepes.ConformalClassifier().fit(1 - own[np.arange(known), labels], bins=labels)
    thresholds = np.array([usual(own[labels == one], labels[labels == one], 0.87) for one in range(5)])
    ours = conformal.sets(others, thresholds)
    for one in range(5):
        candidates = 1 - others[:, one : one + 1]
        theirs = fitted.predict_set(candidates, bins=np.full(500, one), confidence=0.87, smoothing=False)[:, 0]
        np.testing.assert_array_equal(ours[:, one], theirs.astype(bool) | (others.argmax(1) == one))


@pytest.mark.parametrize("risk", [0.1, 0.05])
@pytest.mark.parametrize("level", conformal.LEVELS)
def test_the_rank_is_the_smallest_that_keeps_the_promise(level, risk):
    for images in SIZES[1:]:
        rank = conformal.rank(images, level, risk=risk)
        assert beta.sf(level, rank, images + 1 - rank) >= 1 - risk
        assert beta.sf(level, rank - 1, images + 2 - rank) < 1 - risk
        assert rank > np.ceil(level * (images + 1))


@pytest.mark.parametrize("images", SIZES[1:])
def test_the_threshold_is_the_score_of_that_rank(images):
    shares = np.stack([np.arange(images) / images, 1 - np.arange(images) / images], axis=1)
    for one in conformal.fit(shares, np.ones(images, int)):
        # Beta's distribution in terms of the binomial one.
        assert one.rank == binom.ppf(1 - conformal.RISK, images, one.level) + 1
        assert (one.images, one.score) == (images, pytest.approx((one.rank - 1) / images))


@pytest.mark.parametrize(("level", "least"), [(0.9, 22), (0.95, 45)])
def test_below_the_smallest_number_of_images_every_class_is_in_the_set(level, least):
    assert conformal.rank(least, level) == least
    assert conformal.rank(least - 1, level) is None
    right = np.tile([0.98, 0.01, 0.01], (least - 1, 1))
    (few,) = (one for one in conformal.fit(right, np.zeros(least - 1, int)) if one.level == level)
    assert few.rank is None
    assert conformal.sets(np.array([[1.0, 0.0, 0.0]]), np.asarray(few.score)).all()


def test_the_coverage_of_drawn_images_is_beta_binomial():
    """500 networks, each with 60 calibration images of its own: as often as promised they cover 90 % of new ones."""
    networks, images, new = 500, 60, 400
    rng = np.random.default_rng(5)
    reached, rank = 0, conformal.rank(images, 0.9)
    for _ in range(networks):
        limit = np.sort(rng.random(images))[rank - 1]
        reached += (rng.random(new) <= limit).sum() >= 0.9 * new
    expected = betabinom.sf(0.9 * new - 1, new, rank, images + 1 - rank)
    assert binom.ppf(0.0005, networks, expected) <= reached <= binom.ppf(0.9995, networks, expected)
    assert expected > 0.85


def test_the_most_probable_class_is_always_in():
    shares = probabilities(judged.drawn(200)[0])
    members = conformal.sets(shares, np.asarray(0.0))
    assert (members.sum(1) == 1).all()
    assert members[np.arange(200), shares.argmax(1)].all()


def test_images_of_one_score_are_all_in_or_all_out():
    shares = np.tile([0.7, 0.3], (60, 1))
    nine_in_ten, _ = conformal.fit(shares, np.array([0] * 50 + [1] * 10))
    assert nine_in_ten.score == pytest.approx(0.7)
    assert conformal.sets(shares, np.asarray(nine_in_ten.score)).all()


def test_classes_have_thresholds_of_their_own_only_where_each_has_enough_images():
    logits, labels = judged.drawn(400, classes=3)
    shares = probabilities(logits)
    kept = np.concatenate([np.flatnonzero(labels == one)[:22] for one in range(3)])
    found = conformal.fit_by_class(shares[kept], labels[kept])
    assert [one[0].images for one in found] == [22, 22, 22]
    for one in range(3):
        assert found[one] == conformal.fit(shares[kept][labels[kept] == one], labels[kept][labels[kept] == one])
    # 22 do for 90 %, not for 95 %.
    assert {one[1].rank for one in found} == {None}
    assert conformal.fit_by_class(shares[kept[1:]], labels[kept[1:]]) == ()


def test_groups_are_worth_as_many_images_as_they_are():
    assert conformal.rank(90, 0.9, worth=3) is None
    assert conformal.rank(600, 0.9, worth=60) == 10 * conformal.rank(60, 0.9)
    assert conformal.rank(600, 0.9, worth=600) == conformal.rank(600, 0.9)


def test_thresholds_keep_how_many_images_groups_are_worth():
    logits, labels = judged.drawn(300)
    shares, unit = probabilities(logits), np.arange(300) // 60
    assert [one.worth for one in conformal.fit(shares, labels, unit=unit)] == [5.0, 5.0]
    assert [one.worth for one in conformal.fit(shares, labels)] == [300.0, 300.0]


def test_a_few_large_groups_among_single_images_are_worth_less_than_many():
    unequal, equal = np.repeat(np.arange(604), [1] * 600 + [100] * 4), np.repeat(np.arange(25), 4)
    assert conformal.worth_of(equal) == 25.0
    assert conformal.worth_of(unequal) < 0.7 * units.effective(unequal)
    assert conformal.worth_of(np.zeros(30, dtype=int)) == 1.0


def test_groups_of_one_image_change_no_threshold():
    logits, labels = judged.drawn(200)
    shares = probabilities(logits, 1.0)
    assert conformal.fit(shares, labels, unit=np.arange(200)) == conformal.fit(shares, labels)
    by_class = conformal.fit_by_class(shares, labels)
    assert conformal.fit_by_class(shares, labels, unit=np.arange(200)) == by_class


def test_the_promise_holds_for_images_in_groups_and_would_not_if_each_counted():
    """Images of a group have one score; the coverage of a threshold is its place in the uniform distribution."""
    groups, size, draws = 40, 15, 600
    rng, unit = np.random.default_rng(0), np.repeat(np.arange(groups), size)
    kept = {"groups": 0, "images": 0}
    for _ in range(draws):
        scores = np.repeat(rng.random(groups), size)
        shares = np.stack([1 - scores, scores], axis=1)
        for kind, of in (("groups", unit), ("images", None)):
            kept[kind] += conformal.fit(shares, np.zeros(len(scores), dtype=int), unit=of)[0].score >= 0.9
    assert kept["groups"] / draws > 1 - conformal.RISK - 0.02
    assert kept["images"] / draws < 0.75
