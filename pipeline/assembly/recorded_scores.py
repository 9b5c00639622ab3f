"""Whether the networks of a bundle still give the class scores that were recorded when they were tested."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import certain
from pipeline.bundles import bundle
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.datasets.prepared.packed import Packed

# Test images that each network is tried on.
TRIED = 64
# Of the recorded scores' own spread: far more than other devices and precisions make of the same network.
TOLERANCE = 0.05


def logits(number: int) -> NDArray[np.float32]:
    """Return the class scores (n, K) of a repeat's test images, as `evaluate` wrote them."""
    file = paths.evaluation(number) / "logits.npy"
    digests.check(file)
    return np.asarray(np.load(file, allow_pickle=False))


def check(networks: bundle.Bundle, data: Packed, numbers: Sequence[int]) -> None:
    """Refuse networks that say other than when they were tested: what runs them was edited since.

    Args:
        networks: of the bundle, assembled.
        data: the packed set.
        numbers: the repeats whose networks it holds.

    Raises:
        InputError: naming the first repeat.
    """
    for place, number in enumerate(numbers):
        rows = certain.parts_of(data, number, early_stop=False).test[:TRIED].numpy()
        recorded = logits(number)[: len(rows)]
        alone = replace(networks, networks=(networks.networks[place],))
        difference = alone.run(data.images[rows]).logits[0] - recorded
        if not np.sqrt(np.mean(difference**2)) <= TOLERANCE * np.std(recorded):
            commit = networks.description.origin.commit[:12]
            raise InputError(
                f"repeat {number}: its network gives other class scores than were recorded when it was tested, so that "
                f"the code has changed since; bundle it with that of commit {commit}, or `dvc repro` trains and tests "
                "with today's"
            )
