"""A division beside the numbers of images that its set, or a paper, is published with."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipeline.datasets.prepared.manifest import Assigned


def comparison_lines(
    assigned: Iterable[Assigned], *, counts: Mapping[str, int], printed: Mapping[str, Sequence[int]]
) -> list[str]:
    """Return lines for the user that compare a division with the published numbers.

    Args:
        assigned: the division.
        counts: published numbers of images by part; 0 if not published.
        printed: training and test images of each class, as a paper prints them; empty if none does.

    Returns:
        One line for all images, and one per printed class.
    """
    images = list(assigned)
    published = f", {counts['train']:,} train + {counts['test']:,} test published" if counts["train"] else ""
    lines = [_numbers(Counter(image.part for image in images)) + published]
    for label, (train, test) in printed.items():
        ours = _numbers(Counter(image.part for image in images if image.label == label))
        lines.append(f"{label}: {ours}, {train} train + {test} test printed")
    return lines


def _numbers(parts: Mapping[str, int]) -> str:
    """Return the numbers of images by part in words.

    >>> _numbers({"test": 686, "train": 1618})
    '1,618 train + 686 test'
    """
    return " + ".join(f"{parts[part]:,} {part}" for part in ("train", "val", "test") if part in parts)
