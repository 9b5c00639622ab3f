"""Descriptions of the scores, for the page."""

from collections.abc import Collection

from pipeline.evaluation.scores import SCORES

F1 = (
    "the harmonic mean of its precision, the part of what is predicted as the class that is right, and its recall, the "
    "part of its images that is predicted as the class"
)


def scores(names: Collection[str]) -> list[tuple[str, str]]:
    """Return the title of each of these scores with what it is, and F1, which others are made of.

    >>> scores(["accuracy", "nll"])[1]
    ('NLL', 'mean negative log-likelihood of the actual class (lower is better)')
    """
    rows = [(row.title, row.in_words) for name, row in SCORES.items() if name in names]
    return [*rows, ("F1", f"of a class: {F1}")]
