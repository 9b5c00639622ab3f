"""Which network a bundle holds and how well it did on its test images, in words: for the card and for pages."""

from pipeline.bundles.description import Description
from pipeline.core.counting import counted
from pipeline.core.percents import percent
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import known

# Digits of a commit or a hash in the text; bundle.json has all.
SHOWN = 12
KINDS = {
    "repeat": "It is the network of repeat {repeats}, as that was tested.",
    "ensemble": "The probabilities of {count} networks are averaged, those of the repeats {repeats}.",
    "final": "It was trained once more for this bundle, on all labeled images but those that calibrate it.",
}


def network(description: Description) -> str:
    """Return the backbone with its attention."""
    attention = ATTENTIONS[description.network.attention]
    return known(description.network.backbone).title + (f" with {attention.title}" if attention.module else "")


def kind(description: Description) -> str:
    """Return which networks of the experiment it holds."""
    repeats = [str(one.repeat) for one in description.members if one.repeat is not None]
    return KINDS[description.kind].format(repeats=", ".join(repeats), count=len(description.members))


def accuracy(description: Description) -> str:
    """Return the test accuracy with its interval, or why there is none."""
    if not description.scores:
        return f"None of its own. {why_no_score(description)}"
    one = description.scores["accuracy"]
    of_images = f"{percent(one.value)} of {counted(one.images, 'test image')}"
    if one.low is None or one.high is None:
        return f"{of_images}, no interval"
    return f"{of_images}, 95 % interval {percent(one.low)} to {percent(one.high)}"


def why_no_score(description: Description) -> str:
    """Return why these networks have no test score of their own; empty where they have one."""
    if description.scores:
        return ""
    if description.kind == "final":
        return (
            "No image is left to test it: those that tested the repeats of its experiment have trained it too, or "
            "calibrate it."
        )
    return "Each repeat drew its own test images, and most of them have trained the networks of other repeats."
