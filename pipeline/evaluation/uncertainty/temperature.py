"""Temperature scaling: one number that makes a network as sure as it is right (Guo et al. 2017, section 4.2)."""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.uncertainty.arrays import FloatArray, IntArray, check_finite

# Ends of the search, for images that are almost all right or no better than drawn.
LOWEST, HIGHEST = 0.05, 20.0
# Standard deviation of the prior of log T: a factor of two either way.
PRIOR_SD = math.log(2)


def fit(logits: FloatArray, labels: IntArray) -> float:
    """Return the most probable temperature T, 0.05 to 20: that of the labels' likelihood and a prior of log T around 0.

    Without the prior, which is a departure from Guo et al., one wrong image with a small margin among 20 or 40 makes
    the network certain of everything: T was below 0.3 in four of a hundred such fits of a calibrated network. It
    counts little beside 100 images, and nothing beside 1,000. Where all images are right T is 1, since they say nothing
    of how wrong ones are told apart.

    Above 1 the network was too sure, below 1 not sure enough. scikit-learn's `CalibratedClassifierCV` finds the same,
    but keeps it private and refuses images among which a class is missing.

    Args:
        logits: (n, K) of images that the network was not trained on; n >= 1.
        labels: (n,) their classes.

    Raises:
        InputError: for logits that are not finite.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    check_finite("logits", logits)
    given, rows = logits.astype(np.float64), np.arange(len(labels))
    if (given.argmax(axis=1) == labels).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        likelihood = float(log_softmax(given / math.exp(log_temperature), axis=1)[rows, labels].sum())
        return ((log_temperature / PRIOR_SD) ** 2 / 2 - likelihood) / len(labels)

    ends = (math.log(LOWEST), math.log(HIGHEST))
    return math.exp(minimize_scalar(loss, bounds=ends, options={"xatol": 1e-6}).x)


def probabilities(logits: FloatArray, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the softmax (n, K) of logits (n, K) over a temperature.

    >>> probabilities(np.log([[1.0, 3.0]])).round(6).tolist()
    [[0.25, 0.75]]
    """
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
