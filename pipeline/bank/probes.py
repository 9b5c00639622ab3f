"""Classifiers on frozen features, by scikit-learn, each with a strength that cross-validation chooses."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.bank import folds
from pipeline.bank.folds import Examples, FloatArray, Fold, IntArray

# Far more than any fit here takes: a fit that ends before it has converged warns.
MOST_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One kind of classifier.

    Attributes:
        title: in a table's heading.
        strengths: what is tried; empty where there is nothing to choose.
        prepare: builds what is done to the features.
        build: builds the classifier of a strength.
        most: the highest strength that so many training images allow.
    """

    title: str
    strengths: tuple[float, ...]
    prepare: Callable[[], Any]
    build: Callable[[Any], Any]
    most: Callable[[int], float] = lambda _: np.inf


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

    def linear(self, classes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return weights (K, D) and bias (K,) of the logistic regression for features as they are.

        Args:
            classes: K, all of which are among its training images.
        """
        scale, rotation = self.prepare
        weights, bias = self.model.coef_ @ rotation.components_ / scale.scale_, self.model.intercept_
        # Of two classes scikit-learn has the score of the second alone.
        if classes == 2:
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        return weights, bias - weights @ scale.mean_


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
    # scikit-learn's own way.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def fitted(name: str, examples: Examples, *, seed: int, repeats: int = folds.REPEATS) -> Fitted:
    """Return a classifier that has learned from all examples, with the strength that their cross-validation chose.

    Args:
        name: a row of `PROBES`.
        examples: the images.
        seed: of the divisions.
        repeats: how many divisions.

    Raises:
        InputError: for too few images, see `folds.folds`.
    """
    row = PROBES[name]
    # The spread within classes is 0/0 where each has a single image, and only the mean is used.
    with one_thread(), warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Of features that are the same in all images of a class, as those behind a ReLU are.
        warnings.filterwarnings("ignore", "self.within_class_std_dev_")
        prepare = row.prepare()
        # In float32 the regression's line search fails on some sets before it has converged.
        prepared = prepare.fit_transform(examples.features.astype(np.float64))
        divided = folds.folds(examples.labels, examples.groups, seed=seed, repeats=repeats) if row.strengths else []
        strength = _chosen(row, prepared, examples.labels, divided) if divided else None
        return Fitted(prepare, row.build(strength).fit(prepared, examples.labels), strength)


def _chosen(row: Probe, prepared: npt.NDArray[np.float64], labels: IntArray, divided: list[Fold]) -> float:
    """Return the strength with the highest accuracy over the parts; of equally good ones the first."""
    tried = [one for one in row.strengths if one <= row.most(min(len(train) for train, _ in divided))]
    accuracy = {
        strength: np.mean(
            [
                np.mean(row.build(strength).fit(prepared[train], labels[train]).predict(prepared[test]) == labels[test])
                for train, test in divided
            ]
        )
        for strength in tried
    }
    return max(tried, key=accuracy.__getitem__)
