"""Words on the excerpts that a page has of what would be too much: pure."""

from pipeline.core.counting import counted
from pipeline.reporting import aggregate
from pipeline.reporting.material import Material


def right_of(material: Material) -> str:
    """Return of how many classes a right prediction is shown, and of which; empty where it is of all."""
    scores = aggregate.class_scores(material.repeats)
    shown, known = len(material.right), sum(one.recall.mean > 0 for one in scores)
    if shown == len(scores):
        return ""
    which = "the others have no right prediction"
    if shown < known:
        which = f"at equal distances in the list of the {known:,} with a right prediction"
    return f"{shown:,} of {len(scores):,} classes: {which}."


def further_confusions(matrix: aggregate.IntArray, shown: int) -> str:
    """Return how many confusions the table lacks, and how many of them are as frequent as its last; empty for none."""
    others, as_frequent = aggregate.further_confusions(matrix, shown)
    if not others:
        return ""
    alike = f", {as_frequent:,} of them as often as the last of these" if as_frequent else ""
    return f"and {counted(others, 'more pair')} of classes{alike}"
