"""Answers of two or more methods to test images, drawn from a model, for the errors and the power of comparisons."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from pipeline.evaluation.compare.crossed import crossed
from pipeline.evaluation.compare.statistics import ALPHA, t_p_values

# Repeats and test images.
SIZES = [(n, images) for n in (3, 5, 10) for images in (60, 342, 1340)]
DRAWS = 10_000
# True differences that are to be found.
GAINS = (0.02, 0.03, 0.05)
# Fraction of the images that a new split tests.
TESTED = 0.3
# Numbers that are drawn at a time.
AT_ONCE = 8_000_000

Right = npt.NDArray[np.bool_]


class Variation(NamedTuple):
    """What the answers vary with, in units of the images' difficulty.

    A method's network of one seed gets an image right where the sum of the following is above a level: the image's
    difficulty (standard deviation 1), the method's own on this image, the network's as a whole, and the network's on
    this image. All are normal and independent.

    Attributes:
        accuracy: of every method without a gain.
        method: standard deviation of a method's own difficulty of an image, the same for all seeds.
        network: of a network's shift on all images.
        both: of what a network has on one image alone.
    """

    accuracy: float
    method: float
    network: float
    both: float


# From images that decide alone to seeds that decide alone, with both in between, at low, usual and high accuracy.
VARIATIONS = {
    "noise alone": Variation(0.90, method=0.0, network=0.0, both=0.5),
    "images": Variation(0.90, method=0.5, network=0.0, both=0.3),
    "images above all": Variation(0.90, method=1.0, network=0.05, both=0.1),
    "seeds": Variation(0.90, method=0.0, network=0.2, both=0.5),
    "both": Variation(0.90, method=0.5, network=0.1, both=0.3),
    "both, low accuracy": Variation(0.75, method=0.5, network=0.1, both=0.5),
    "both, high accuracy": Variation(0.97, method=0.3, network=0.1, both=0.1),
}


def answers(
    variation: Variation, *, repeats: int, images: int, draws: int, gains: Sequence[float] = (0.0, 0.0), seed: int = 0
) -> Iterator[Right]:
    """Yield blocks (b, k, n, m) of right answers: b draws of k methods, n repeats and m images.

    Args:
        variation: the model.
        repeats: n, each with networks of its own.
        images: m, the same in all repeats and for all methods.
        draws: of seeds and images; the blocks' b add up to it.
        gains: true gain of each of the k methods over the variation's accuracy.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    block = max(1, AT_ONCE // (len(gains) * repeats * images))
    scale = np.sqrt(1 + variation.method**2 + variation.network**2 + variation.both**2)
    levels = (scale * stats.norm.ppf(variation.accuracy + np.array(gains))).astype(np.float32)

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    while draws > 0:
        b, k = min(block, draws), len(gains)
        value = variation.both * normal(b, k, repeats, images) + normal(b, 1, 1, images)
        value += variation.method * normal(b, k, 1, images) + variation.network * normal(b, k, repeats, 1)
        yield value + levels[:, None, None] > 0
        draws -= b


def rejected(variation: Variation, repeats: int, images: int, *, draws: int, gain: float = 0.0) -> float:
    """Return the fraction of draws of which the 95 % interval of the difference of two methods leaves out 0."""
    found = 0
    for right in answers(variation, repeats=repeats, images=images, draws=draws, gains=(gain, 0.0)):
        parts = crossed(gains_of(right))
        found += int((np.abs(parts.mean) > parts.half_width()).sum())
    return found / draws


def split_answers(
    variation: Variation, *, repeats: int, images: int, draws: int, gains: Sequence[float] = (0.0, 0.0), seed: int = 0
) -> Iterator[Right]:
    """Yield what `answers` does, of images that each repeat draws anew: `TESTED` of all.

    The images are as likely as each other, so that the draws of a block may share the places that are drawn of them.
    """
    rng = np.random.default_rng(seed)
    every, k = round(images / TESTED), len(gains)
    scale = np.sqrt(1 + variation.method**2 + variation.network**2 + variation.both**2)
    levels = (scale * stats.norm.ppf(variation.accuracy + np.array(gains))).astype(np.float32)
    # Many blocks, for many draws of the places.
    block = max(1, min(draws // 100, AT_ONCE // (k * (repeats * images + every))))

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    while draws > 0:
        b = min(block, draws)
        places = np.array([rng.permutation(every)[:images] for _ in range(repeats)])
        image = (normal(b, 1, every) + variation.method * normal(b, k, every))[..., places]
        value = image + variation.both * normal(b, k, repeats, images) + variation.network * normal(b, k, repeats, 1)
        yield value + levels[:, None, None] > 0
        draws -= b


def rejected_over_splits(
    variation: Variation, repeats: int, images: int, *, draws: int, gain: float = 0.0, seed: int = 0
) -> float:
    """Return the same as `rejected` by the corrected t test, where each repeat draws its test images."""
    found = 0
    for right in split_answers(variation, repeats=repeats, images=images, draws=draws, gains=(gain, 0.0), seed=seed):
        p = t_p_values(gains_of(right).mean(-1, dtype=np.float64), train=1 - TESTED, test=TESTED)
        found += int((p < ALPHA).sum())
    return found / draws


def gains_of(right: Right) -> npt.NDArray[np.float32]:
    """Return (b, n, m) the first method's answers minus the second's."""
    return right[:, 0].astype(np.float32) - right[:, 1]


def main() -> None:
    """Print the table of docs/studies.md: errors without a difference, and the power, by repeats and test images."""
    found = " | ".join(f"{100 * gain:.0f} points found (%)" for gain in GAINS)
    print(f"| split | repeats | test images | error (%) | {found} |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for split, detected in (("new in each repeat", rejected_over_splits), ("the same test images", rejected)):
        for repeats, images in SIZES:
            errors = [detected(one, repeats, images, draws=DRAWS) for one in VARIATIONS.values()]
            power = [detected(VARIATIONS["both"], repeats, images, draws=DRAWS, gain=gain) for gain in GAINS]
            cells = [f"{100 * min(errors):.1f} to {100 * max(errors):.1f}", *(f"{100 * one:.0f}" for one in power)]
            print(f"| {split} | {repeats} | {images:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
