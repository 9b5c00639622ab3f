"""Logits of a drawn network, which is too sure by a factor that is known."""

import numpy as np


def drawn(images, *, classes=5, seed=0, sure=1.0):
    """Logits (n, K) and classes (n,) that are drawn from their softmax; then the logits times `sure`."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(images, classes))
    odds = np.exp(logits)
    labels = (rng.random((images, 1)) > np.cumsum(odds / odds.sum(1, keepdims=True), axis=1)).sum(1)
    return sure * logits, np.minimum(labels, classes - 1)
