"""How sure a bundle is, in words: for the card and for pages."""

from collections.abc import Iterator
from typing import Any

from pipeline.bundles import held_out
from pipeline.bundles.description import Description
from pipeline.core.counting import counted
from pipeline.core.percents import percent
from pipeline.evaluation.uncertainty.outliers import FEWEST

NOT_CALIBRATED = "Not calibrated"


def paragraphs(description: Description) -> Iterator[str]:
    """Yield what a bundle says about how sure it is, in Markdown."""
    yield from _calibration(description) if description.calibration else _none(description)
    if description.outliers:
        yield _strange(description.outliers, description.calibration)
        if description.on_test:
            yield _asking(description.on_test, calibrated=description.calibration is not None)


def _none(description: Description) -> Iterator[str]:
    if description.kind == "ensemble":
        reason = "of several networks, whose training parts differ, none is calibrated here"
    elif description.origin.settings["train"].get("early_stop"):
        reason = "the images that were held out from training chose the epoch that it ended with (early stop)"
    else:
        reason = "no images were held out for it"
    yield (
        f"**{NOT_CALIBRATED}:** {reason}, so the probabilities are the network's own, and there are no sets of classes "
        "that hold the right one with a known probability."
    )


def _calibration(description: Description) -> Iterator[str]:
    calibration, tested = description.calibration or {}, description.on_test
    line = f"Calibrated on {counted(calibration['images'], 'image')} that were held out from training: scores are "
    if calibration["temperature"] == 1:
        line += "left as they are, since the network was right for all of these."
    else:
        less = "less" if calibration["temperature"] > 1 else "more"
        line += f"divided by {calibration['temperature']:.3g}, which makes the network {less} sure."
    if tested:
        before, after = (percent(tested[f"calibration_error{when}"]) for when in ("", "_after"))
        line += (
            f" On the {tested['images']} test images, on which nothing was fitted, the calibration error was {before} "
            f"before and is {after} after."
        )
        # Earlier versions did not have it.
        if (chance := tested.get("calibration_error_by_chance")) is not None:
            line += f" So few images show {percent(chance)} on average where every probability is right."
    yield line
    by_level = {one["level"]: one for one in tested["sets"]} if tested else {}
    for threshold in calibration["thresholds"]:
        yield _set(threshold, by_level.get(threshold["level"]), tested, calibration["risk"])
    if calibration["by_class"]:
        yield (
            "These sets hold over all classes together. Those whose promise holds for every class by itself are in "
            "Python alone: `judge(...).by_class`."
        )


def _set(threshold: dict[str, Any], found: dict[str, Any] | None, tested: dict[str, Any] | None, risk: float) -> str:
    level = percent(threshold["level"], 0)
    if threshold["rank"] is None:
        few = held_out.counted(threshold["images"], threshold.get("worth"))
        return f"{few} are too few to promise {level}: that set holds every class."
    line = (
        f"The {level} set holds the right class of at least {level} of images like the held-out ones, with a "
        f"probability of {percent(1 - risk, 0)} over which images those were."
    )
    if found and tested:
        held = percent(found["coverage"])
        line += f" Of the test images it held {held}, with {found['classes']:.2f} classes in a set on average."
    return line


def _strange(outliers: dict[str, Any], calibration: dict[str, Any] | None) -> str:
    line = (
        "An image is called strange if its features are farther from those of every training image, or the network's "
        "scores of all classes, taken together, are lower, than those of "
    )
    calibrating = outliers["from_images"] == "calibration"
    # A bundle of an older version does not say how many its limits are worth.
    worth = outliers.get("worth") or (calibration["images"] if calibrating and calibration else outliers["images"])
    share = "every one" if int(worth) < FEWEST else "97.5 %"
    if not calibrating:
        return (
            f"{line}{share} of the training images themselves; as the network knows these, more than 5 % of new images "
            "like them are called strange."
        )
    few = "; with so few, more than 5 % of new ones may be called strange" if int(worth) < FEWEST else ""
    return f"{line}{share} of the held-out images{few}."


def asked_where(*, calibrated: bool) -> str:
    """Return where a person should look, in words; without calibration there are no sets to tell it by."""
    return ("the 90 % set has several classes, or " if calibrated else "") + "the image is strange"


def _asking(tested: dict[str, Any], *, calibrated: bool) -> str:
    asked, others, every = (percent(tested[name]) for name in ("asked", "error_of_others", "error"))
    where = f"A person should look where {asked_where(calibrated=calibrated)}"
    if tested["asked"] == 1:
        return f"{where}. Those are all test images: the network decides none alone, and {every} of them are wrong."
    return f"{where}: at {asked} of the test images. Of the others {others} are wrong, of all {every}."
