"""All that a report is made from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.naming import Own
from pipeline.evaluation.compare.repeats import Repeat

if TYPE_CHECKING:
    # Commands that compare wait for no drawing library.
    from pipeline.reporting.figures import Shown


class Probe(NamedTuple):
    """The probe of one repeat.

    Attributes:
        reason: why there is none; empty where there is.
        right: whether it tells each test image right, by path.
        remark: what is unusual about how its strength was chosen; empty where nothing is.
    """

    reason: str
    right: Mapping[str, bool]
    remark: str = ""


class Material(NamedTuple):
    """All that a report is made from.

    Attributes:
        repeats: one or more, of the same experiment.
        cite: the paper that the recipe is from, as params.yaml has it.
        dataset: dataset.json.
        class_images: each class's number of images in the whole set.
        rejected: (path, reason) of the files that were left out, all that are no photographs as one.
        right: typical right predictions with their images.
        wrong: confident wrong ones.
        health: what is worth knowing of the set before it is used, as `datasets.health.examine` gives it.
        augmented: a PNG of training images, a row each: as packed, then as training varied them; empty where it did
            not.
        own: what the recipe says by itself; None where that is not known.
        probes: the frozen probe of each repeat, by its number; empty where nothing is known of any.
    """

    repeats: Sequence[Repeat]
    cite: str
    dataset: Mapping[str, Any]
    class_images: Mapping[str, int]
    rejected: Sequence[tuple[str, str]]
    right: Sequence["Shown"]
    wrong: Sequence["Shown"]
    health: Mapping[str, Any]
    augmented: bytes = b""
    own: Own | None = None
    probes: Mapping[int, Probe] = {}
