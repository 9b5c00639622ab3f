"""Held-out images: how many a prediction set takes, and how a bundle gets as many, in words."""

from pipeline.bundles.description import Description
from pipeline.core.percents import percent
from pipeline.evaluation.uncertainty import conformal
from pipeline.evaluation.uncertainty.judging import ASKED_AT

# Fractions of each class for a final training to hold out: the default, and what may do where that is too few.
SHARES = (0.2, 0.3, 0.4, 0.5)


def counted(images: int, worth: float | None) -> str:
    """Return how many images there are, and as how many independent ones they count where these are fewer."""
    if worth is None or worth >= images:
        return f"{images} images"
    return f"{images} images that count as {int(worth)} (near duplicates and groups count once)"


def too_few(description: Description) -> str:
    """Return why the set by which a person is asked holds every class, and the way out; empty where it does not."""
    for one in description.calibration["thresholds"] if description.calibration else ():
        if one["level"] == ASKED_AT and one["rank"] is None:
            level, fewest = percent(one["level"], 0), conformal.fewest(one["level"])
            few = counted(one["images"], one.get("worth"))
            return (
                f"{few} were held out to calibrate the bundle; to promise {level} takes {fewest}. So its set of likely "
                f"classes holds every class, and for every image a person is asked (ask in the table). "
                f"{_way_out(description, fewest, (one.get('worth') or one['images']) / one['images'])}"
            )
    return ""


def _way_out(description: Description, fewest: int, worth: float) -> str:
    """Return how to hold out so many images, where each is worth this much of an independent one."""
    # The fraction is rounded in each class.
    missed = len(description.classes) / 2
    share = next((one for one in SHARES if (description.origin.images * one - missed) * worth >= fewest), None)
    if share is None:
        return (
            f"Of its {description.origin.images:,} labeled images even half may be too few: label more, and hold out "
            "more of them in the next bundle."
        )
    option = "" if share == SHARES[0] else f" --calibration {share}"
    final = f"`orbweaver bundle --final{option}`, which holds out {percent(share, 0)} of each class"
    other = "" if description.kind == "final" else "train with more validation images, or "
    return f"For a bundle that can tell, {other}make it by {final}."
