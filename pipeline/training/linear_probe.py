"""Linear probe: multinomial logistic regression on fixed features, by scikit-learn."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core import progress

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
# Inverse strengths of the L2 penalty, for features of unit variance; cross-validation chooses among them.
STRENGTHS = tuple(10.0**power for power in range(-4, 3))
FOLDS = 5
# Of a class with a single image no fold can be left out.
WITHOUT_FOLDS = 0.1
MOST_ITERATIONS = 1000


class Probe(NamedTuple):
    """A linear classifier.

    Attributes:
        weight: (K, D).
        bias: (K,).
        strength: the inverse strength of its penalty.
    """

    weight: Floats
    bias: Floats
    strength: float


def fit(
    features: Floats,
    labels: Numbers,
    groups: Numbers,
    *,
    classes: int,
    balanced: bool,
    on_fit: Callable[[], object] = lambda: None,
) -> Probe:
    """Fit logistic regression with an L2 penalty, its strength chosen by the log loss of stratified cross-validation.

    It is deterministic: one thread, fixed folds, L-BFGS from zero.

    Args:
        features: (n, D).
        labels: class numbers (n,).
        groups: (n,) a number for each group of copies of one photograph, which are in the same fold: with some of them
            among those that it learned from, too weak a penalty would be chosen.
        classes: K; a class without images gets weights of 0 and the least bias.
        balanced: whether an image of class k counts n / (K n_k).
        on_fit: called for each fit of the cross-validation, those of a fold at its end; may raise to stop.

    Raises:
        ValueError: for images of a single class.
    """
    # scikit-learn takes seconds to import; threads would make the last digits depend on the number of cores.
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from threadpoolctl import threadpool_limits

    mean = features.mean(axis=0)
    # One scale for all features, so that a strength means the same for every network.
    scale = float(np.sqrt(np.mean((features - mean) ** 2))) or 1.0
    weights = {"class_weight": "balanced" if balanced else None, "max_iter": MOST_ITERATIONS}
    folds = _folds(labels, groups)
    with threadpool_limits(limits=1), progress.bar(len(folds) * len(STRENGTHS) + 1, "head", "fits") as shown:
        if not folds:
            model = LogisticRegression(C=WITHOUT_FOLDS, **weights)
        else:
            scoring = _log_loss(lambda: (on_fit(), shown.update()))
            chosen = {"Cs": STRENGTHS, "cv": folds, "scoring": scoring, "use_legacy_attributes": False}
            model = LogisticRegressionCV(l1_ratios=(0.0,), **chosen, **weights)
        model.fit((features - mean) / scale, labels)
        shown.update()
    weight, bias = _of_every_class(model, classes)
    weight /= scale
    return Probe(weight, bias - weight @ mean, float(model.C_ if folds else WITHOUT_FOLDS))


def _of_every_class(model: Any, classes: int) -> tuple[Floats, Floats]:
    """Return a fitted model's weights (K, D) and biases (K,), also of classes that it has not seen."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:
        # Of two classes scikit-learn gives the difference.
        coefficients, intercepts = (
            np.vstack([-coefficients, coefficients]) / 2,
            np.hstack([-intercepts, intercepts]) / 2,
        )
    weight, bias = np.zeros((classes, coefficients.shape[1])), np.full(classes, intercepts.min())
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weight, bias


def _log_loss(on_score: Callable[[], object]) -> Any:
    """Return scikit-learn's `neg_log_loss`, which calls a function before each score."""
    from sklearn.metrics import log_loss, make_scorer

    def loss(actual: Numbers, predicted: Floats, *, labels: Numbers | None = None) -> float:
        on_score()
        return float(log_loss(actual, predicted, labels=labels))

    return make_scorer(loss, greater_is_better=False, response_method="predict_proba")


def _folds(labels: Numbers, groups: Numbers) -> list[tuple[Numbers, Numbers]]:
    """Return the rows to learn from and to judge by in each fold, with every class in both; none for fewer than two.

    Without copies they are those of `StratifiedKFold`.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    known = np.unique(labels)
    most = min(FOLDS, *(len(np.unique(groups[labels == label])) for label in known))
    if len(np.unique(groups)) == len(groups):
        options = {"shuffle": True, "random_state": 0}
        return list(StratifiedKFold(most, **options).split(labels, labels)) if most >= 2 else []
    for number in range(most, 1, -1):
        folds = list(StratifiedGroupKFold(number, shuffle=True, random_state=0).split(labels, labels, groups))
        if all(len(np.unique(labels[rows])) == len(known) for fold in folds for rows in fold):
            return folds
    return []
