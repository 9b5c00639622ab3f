"""Folds, classifiers and their nested estimates, beside plain loops."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from pipeline.bank import folds, nested, probes
from pipeline.bank.folds import Examples
from pipeline.core import progress, seeding
from pipeline.core.errors import InputError
from pipeline.datasets.decoding import parallel


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer fits, in this process: what follows holds for any number."""
    monkeypatch.setattr(folds, "MOST", 3)
    strengths = {"logistic": (0.01, 1.0, 100.0), "neighbors": (1, 5), "mean": ()}
    monkeypatch.setattr(
        probes, "PROBES", {name: replace(row, strengths=strengths[name]) for name, row in probes.PROBES.items()}
    )
    monkeypatch.setattr(parallel, "cores", lambda: 1)


def examples(*counts: int, width: int = 6, distance: float = 1.0) -> Examples:
    """Clouds of points, one a class with as many as are given."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = draw.normal(size=(len(labels), width)) + distance * np.eye(len(counts), width)[labels]
    return Examples(features.astype(np.float32), labels, np.arange(len(labels)))


def plain_folds(labels: np.ndarray, groups: np.ndarray, parts: int) -> list[tuple[np.ndarray, np.ndarray]]:
    divided = []
    for number in range(2):
        seed = seeding.derive("folds", 0, number) % 2**32
        divided += StratifiedGroupKFold(parts, shuffle=True, random_state=seed).split(labels, labels, groups)
    return divided


@pytest.mark.usefixtures("quick")
def test_the_nested_estimate_is_that_of_a_plain_loop_of_scikit_learn() -> None:
    given = examples(8, 9, 7, distance=1.5)
    x, y, groups = given.features.astype(np.float64), given.labels, given.groups
    plain = []
    for train, test in plain_folds(y, groups, 3):
        scale = StandardScaler().fit(x[train])
        scaled, means = scale.transform(x[train]), {}
        for strength in (0.01, 1.0, 100.0):
            right = []
            for some, others in plain_folds(y[train], groups[train], 3):
                model = LogisticRegression(C=strength, max_iter=10_000).fit(scaled[some], y[train][some])
                right.append(model.score(scaled[others], y[train][others]))
            means[strength] = np.mean(right)
        best = LogisticRegression(C=max(means, key=means.__getitem__), max_iter=10_000).fit(scaled, y[train])
        plain.append(best.score(scale.transform(x[test]), y[test]))
    found = nested.estimates(given, name="test")["logistic"]
    assert found.parts == pytest.approx(plain)
    assert found.mean == pytest.approx(np.mean(plain))
    # Nadeau and Bengio: 6 parts, half as many judged as learned from.
    half = 2.570582 * np.std(plain, ddof=1) * np.sqrt(1 / 6 + 1 / 2)
    assert (found.low, found.high) == pytest.approx((found.mean - half, min(1, found.mean + half)), abs=0.01)


@pytest.mark.usefixtures("quick")
def test_the_same_examples_give_the_same_bits() -> None:
    given = examples(6, 6)
    assert nested.estimates(given, name="") == nested.estimates(given, name="")


def test_on_all_cores_the_bits_are_those_of_one_and_lines_say_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = examples(9, 9, 9)
    alone = probes.fitted("logistic", given, seed=0, repeats=1)
    assert not capsys.readouterr().err
    monkeypatch.setattr(probes, "cores", lambda: 2)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    spread = probes.fitted("logistic", given, seed=0, repeats=1, bar="probe")
    assert spread.strength == alone.strength
    assert (spread.model.coef_ == alone.model.coef_).all()
    assert capsys.readouterr().err.splitlines()[-1] == "probe: 41 of 41 fits"


def test_in_a_new_process_no_library_that_scikit_learn_loads_has_more_threads() -> None:
    script = (
        "from pipeline.bank import probes\n"
        "with probes.one_thread():\n"
        "    probes.PROBES['logistic'].prepare(); probes.PROBES['logistic'].build(1.0)\n"
        "    import threadpoolctl\n"
        "    print({library['num_threads'] for library in threadpoolctl.threadpool_info()})\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "{1}\n"


@pytest.mark.usefixtures("quick")
def test_a_signal_is_found_and_none_is_not() -> None:
    signal, none = (probes.fitted("logistic", examples(20, 20, distance=d), seed=0) for d in (4.0, 0.0))
    later = examples(20, 20, distance=4.0)
    assert np.mean(signal.predict(later.features) == later.labels) > 0.9
    assert 0.2 < np.mean(none.predict(later.features) == later.labels) < 0.8


def test_copies_are_never_on_both_sides_of_a_fold() -> None:
    labels, groups = np.repeat([0, 1], 12), np.repeat(np.arange(12), 2)
    for train, test in folds.folds(labels, groups, seed=0):
        assert not set(groups[train]) & set(groups[test])


def test_a_small_class_gives_fewer_parts_and_that_is_said() -> None:
    labels = np.repeat([0, 1, 2], [9, 9, 3])
    own, copied = np.arange(21), np.array([*range(19), 18, 18])
    assert len(folds.folds(labels, own, seed=0)) == 3 * folds.REPEATS
    assert folds.remark(labels, own, ["a", "b", "c"]) == (
        "class 'c' has 3 different training images, each group counted once: 3 parts in place of 5, and some have no "
        "image of it to learn from"
    )
    # Three copies of one photograph are one image.
    copies = folds.remark(labels, copied, ["a", "b", "c"])
    assert copies.startswith("class 'c' has 1 different training image, each group counted once: 2 parts")
    assert not folds.remark(labels[:18], own[:18], ["a", "b"])


@pytest.mark.usefixtures("quick")
def test_a_class_with_a_single_image_is_judged_and_not_refused() -> None:
    given = examples(9, 9, 1)
    assert 0 <= nested.estimates(given, name="")["mean"].mean <= 1


@pytest.mark.filterwarnings("error")
def test_classes_of_a_single_image_each_have_a_mean_without_a_warning() -> None:
    given = examples(1, 1, 1, distance=50.0)
    assert probes.fitted("mean", given, seed=0).predict(given.features).tolist() == [0, 1, 2]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("counts", [(1, 1), (5, 1), (9,)])
def test_too_few_images_for_a_cross_validation_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="two classes with four different ones"):
        nested.estimates(examples(*counts), name="")
