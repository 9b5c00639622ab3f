"""Classifiers on frozen features, by scikit-learn, each with a strength that cross-validation chooses."""

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pipeline.bank import folds
from pipeline.bank.folds import Examples, FloatArray, Fold, IntArray
from pipeline.core import progress
from pipeline.core.seeding import cores

# Far more than any fit here takes: a fit that ends before it has converged warns.
MOST_STEPS = 10_000
# Images x features x classes: 5,994 x 2,048 x 200 took four minutes of a core.
MOST_WORK = 6e9

# What is said of a shorter choice.
SHORTENED = "the regression's strength is the best of four on one part of the training images, as all would take long"

# A strength, and the rows to learn from and to judge by.
Trial = tuple[float, Fold]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One kind of classifier.

    Attributes:
        title: in a table's heading.
        strengths: what is tried; empty where there is nothing to choose.
        few: of these, what is tried where all would take long.
        prepare: builds what is done to the features.
        build: builds the classifier of a strength.
        most: the highest strength that so many training images allow.
    """

    title: str
    strengths: tuple[float, ...]
    prepare: Callable[[], Any]
    build: Callable[[Any], Any]
    most: Callable[[int], float] = lambda _: np.inf
    few: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier that has learned.

    Attributes:
        prepare: applied to features before.
        model: scikit-learn's.
        strength: that was chosen; None where there was nothing to choose.
    """

    prepare: Any
    model: Any
    strength: float | None

    def predict(self, features: FloatArray) -> IntArray:
        """Return the class (n,) of features (n, D)."""
        predicted: IntArray = self.model.predict(self.prepare.transform(features.astype(np.float64)))
        return predicted


def _standardized() -> Any:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # All axes are kept: the rotation leaves the regression as it is, with fewer numbers where images are few.
    return make_pipeline(StandardScaler(), PCA(svd_solver="full"))


def _directions() -> Any:
    from sklearn.preprocessing import Normalizer

    return Normalizer()


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=MOST_STEPS)


def _neighbors(strength: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(strength)


def _mean(_: None) -> Any:
    from sklearn.neighbors import NearestCentroid

    return NearestCentroid()


LOGISTIC = "logistic"
PROBES: Mapping[str, Probe] = {
    LOGISTIC: Probe(
        title="logistic regression",
        strengths=tuple(10.0**power for power in range(-6, 2)),
        prepare=_standardized,
        build=_logistic,
        few=(1e-3, 1e-2, 1e-1, 1.0),
    ),
    "neighbors": Probe(
        title="nearest neighbors",
        strengths=(1, 3, 5, 10, 20, 50),
        prepare=_directions,
        build=_neighbors,
        most=lambda images: images,
    ),
    "mean": Probe(title="nearest mean", strengths=(), prepare=_directions, build=_mean),
}


@contextmanager
def one_thread() -> Iterator[None]:
    """Have matrix products computed on one thread: several change last digits with their number."""
    # Libraries that are loaded later are not limited, and scikit-learn loads some of its own.
    import_module("sklearn.linear_model")

    # scikit-learn's own way.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def fitted(
    name: str,
    examples: Examples,
    *,
    seed: int,
    repeats: int = folds.REPEATS,
    short: bool = False,
    bar: str = "",
) -> Fitted:
    """Return a classifier that has learned from all examples, with the strength that their cross-validation chose.

    Args:
        name: a row of `PROBES`.
        examples: the images.
        seed: of the divisions.
        repeats: how many divisions.
        short: whether few strengths are tried, and on one part alone.
        bar: the name of its bar of progress, with which it has all cores, and the same bits; "" for one core.

    Raises:
        InputError: for too few images, see `folds.folds`.
    """
    row = PROBES[name]
    # The spread within classes is 0/0 where each has a single image, and only the mean is used.
    with one_thread(), warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Of features that are the same in all images of a class, as those behind a ReLU are.
        warnings.filterwarnings("ignore", "self.within_class_std_dev_")
        divided = folds.folds(examples.labels, examples.groups, seed=seed, repeats=repeats) if row.strengths else []
        trials = _trials(row, divided[:1] if short else divided, short)
        prepare = row.prepare()
        with progress.bar(len(trials) + 1, bar, "fits") as shown:
            # In float32 the regression's line search fails on some sets before it has converged.
            prepared = prepare.fit_transform(examples.features.astype(np.float64))
            work = functools.partial(_accuracy, row.build, prepared, examples.labels)
            strength = _chosen(work, trials, shown, threads=cores() if bar else 1) if trials else None
            model = row.build(strength).fit(prepared, examples.labels)
            shown.update()
        return Fitted(prepare, model, strength)


def is_long(examples: Examples) -> bool:
    """Return whether the choice of a logistic regression's strength takes more than about ten minutes of a core."""
    images, width = examples.features.shape
    return bool(images * min(images, width) * len(np.unique(examples.labels)) > MOST_WORK)


def _trials(row: Probe, divided: Sequence[Fold], short: bool) -> list[Trial]:
    """Return what is tried, the parts of one strength together."""
    strengths = row.few if short else row.strengths
    most = row.most(min((len(train) for train, _ in divided), default=0))
    return [(strength, part) for strength in strengths if strength <= most for part in divided]


def _chosen(work: Callable[[Trial], float], trials: list[Trial], shown: "tqdm[Any]", *, threads: int) -> float:
    """Return the strength with the highest accuracy over the parts; of equally good ones the first."""
    accuracies = defaultdict[float, list[float]](list)
    # Threads, as the fits release Python's lock: processes would each copy the features, and were slower.
    pool = ThreadPoolExecutor(threads)
    try:
        for (strength, _), accuracy in zip(trials, pool.map(work, trials), strict=True):
            accuracies[strength].append(accuracy)
            shown.update()
    finally:
        # After an interrupt, those that run end alone.
        pool.shutdown(wait=False, cancel_futures=True)
    return max(accuracies, key=lambda strength: float(np.mean(accuracies[strength])))


def _accuracy(build: Callable[[Any], Any], prepared: npt.NDArray[np.float64], labels: IntArray, trial: Trial) -> float:
    """Return the accuracy of a strength on one part, after learning from the others."""
    strength, (train, test) = trial
    model = build(strength).fit(prepared[train], labels[train])
    return float(np.mean(model.predict(prepared[test]) == labels[test]))
