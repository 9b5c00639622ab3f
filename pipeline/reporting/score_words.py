"""What each score is, in words."""

from collections.abc import Collection

from pipeline.evaluation.scores import SCORES, Score

F1 = (
    "the harmonic mean of its precision, the part of what is predicted as the class that is right, and its recall, the "
    "part of its images that is predicted as the class"
)


def scores(names: Collection[str]) -> list[tuple[str, str]]:
    """Return the title of each of these scores with what it is, and F1, which others are made of.

    >>> scores(["accuracy", "nll"])[1]
    ('NLL', 'mean negative log-likelihood of the actual class; the smaller, the better')
    """
    rows = [(row.title, score(row)) for name, row in SCORES.items() if name in names]
    return [*rows, ("F1", f"of a class: {F1}")]


def score(row: Score) -> str:
    """Return what a score is, and which end of it is better where that is the lower."""
    return row.description + ("; the smaller, the better" if row.lower_is_better else "")
