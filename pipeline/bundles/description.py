"""bundle.json: all that a bundle says of itself; reading and writing it needs the standard library alone."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.bundles import plain_data
from pipeline.core.errors import InputError
from pipeline.core.interpolation import BICUBIC, BILINEAR, Interpolation

# The number of this format; a version that reads others converts them in `parse`.
FORMAT = 1
FILE = "bundle.json"

Kind = Literal["repeat", "ensemble", "final"]


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The parts of a network by their names here, and the options of its attention and head, by family and name."""

    backbone: str
    attention: str
    head: str
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Steps from an image file to the network's input, in this order.

    Attributes:
        orientation: "exif": turned upright as the file's EXIF data say.
        colors: "RGB", 8 bits a channel, whatever the file has.
        transparency: "white": transparent pixels are laid on white.
        draft: a JPEG may be decoded smaller, by 2, 4 or 8, as long as no side is below this many times `image_size`.
        resize: "stretch": both sides to `image_size`; "crop": the short side to it, then the center.
        image_size: in pixels.
        resampling: "bilinear" or "bicubic", of that resizing: Pillow's, antialiased.
        crop_size: side of the center crop, in pixels; zeros around the image where it is larger.
        input_size: side to which the crop is resized, in pixels; bilinear, antialiased.
        mean: subtracted from each channel, of values scaled to 0..1.
        std: by which each channel is divided then.
    """

    orientation: str
    colors: str
    transparency: str
    draft: int
    resize: str
    image_size: int
    resampling: str
    crop_size: int
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def interpolation(self) -> Interpolation:
        """The resampling, which was checked when the bundle was read."""
        return BICUBIC if self.resampling == BICUBIC else BILINEAR


@dataclass(frozen=True, kw_only=True)
class Computation:
    """How `evaluate` computed the class scores, so that they can be had again to the bit.

    Attributes:
        batch_size: images a batch.
        precision: as in force there.
        threads: of the CPU.
        device: the kind of device.
        device_model: of a GPU; "" elsewhere.
        cpu_instructions: of a CPU's kernels; "" elsewhere, and of versions without it.
    """

    batch_size: int
    precision: str
    threads: int
    device: str
    device_model: str
    cpu_instructions: str = ""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network: the file of its weights, and the repeat that trained it; None of one trained for the bundle."""

    file: str
    repeat: int | None


@dataclass(frozen=True, kw_only=True)
class BundleOrigin:
    """Origin of a bundle.

    Attributes:
        experiment: the key of the experiment, a hash over all that it follows from.
        recipe: the name of its section in params.yaml.
        settings: the resolved recipe.
        repeats: those of the experiment.
        commit: the commit that was checked out when it was trained; "" outside git.
        changed: whether tracked files differed from it.
        code: a hash over the source files.
        data_set: the name of the data set; of the user's own photographs that of their folder, without the path.
        data_sha256: of all images as they are packed, which depends on their size, and labels.
        images: how many there are.
        parts: images by part of the first network's repeat.
        weights_origin: where the pre-trained weights are from.
        weights_sha256: of the pre-trained weights; "" without.
        weights_license: theirs, as SPDX writes it; "" where their publisher states none.
        versions: of Python and the packages.
        run: MLflow's identifier of the experiment's run; "" where there is none.
        split_sha256: of the split file of the first network's repeat; "" of a network that has none, and of versions
            without it.
        changes: what the experiment has in place of the recipe's own values, by the key of params.yaml: each `value`,
            and the `recipe`'s own, None where it states none; None of versions without it.
    """

    experiment: str
    recipe: str
    settings: dict[str, Any]
    repeats: tuple[int, ...]
    commit: str
    changed: bool
    code: str
    data_set: str
    data_sha256: str
    images: int
    parts: dict[str, Any]
    weights_origin: str
    weights_sha256: str
    weights_license: str
    versions: dict[str, Any]
    run: str
    split_sha256: str = ""
    changes: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with its 95 % interval; None where it has none.

    Attributes:
        value: as `evaluation.scores` has it.
        low: the interval's lower end.
        high: the interval's upper end.
        images: test images, of all repeats together where it is a mean of repeats.
    """

    value: float
    low: float | None
    high: float | None
    images: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """All of bundle.json.

    Attributes:
        kind: `repeat`: the network of one repeat; `ensemble`: those of all, whose probabilities are averaged; `final`:
            one more, trained for the bundle.
        members: the networks.
        network: their structure.
        classes: K names, in the order of the scores.
        preprocessing: of an image.
        computation: of the scores.
        scores: of these very networks on test images that they have not seen, by name; empty where there are none.
        experiment_scores: the means over the experiment's repeats, by name.
        origin: what it was made from.
        calibration: see `evaluation.uncertainty`; None where no images were held out to calibrate with.
        outliers: see `evaluation.uncertainty`; None of an ensemble.
        on_test: how well these hold on test images, see `evaluation.uncertainty.assessment`; None without test images.
        format: the format's number.
    """

    kind: Kind
    members: tuple[Member, ...]
    network: Structure
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    computation: Computation
    scores: dict[str, Score]
    experiment_scores: dict[str, Score]
    origin: BundleOrigin
    calibration: dict[str, Any] | None = None
    outliers: dict[str, Any] | None = None
    on_test: dict[str, Any] | None = None
    format: int = field(default=FORMAT)

    def dumped(self) -> str:
        """Return readable JSON, the same for the same values."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse(content: bytes, place: Path) -> Description:
    """Return what bundle.json says.

    Args:
        content: JSON.
        place: where it is from, for messages.

    Raises:
        InputError: for another format, or a file that is damaged.
    """
    try:
        values = json.loads(content)
    except ValueError as error:
        raise InputError(f"{place}: not JSON: {error}; copy the bundle again") from None
    number = values.get("format") if isinstance(values, dict) else None
    if number != FORMAT:
        known = "no format" if number is None else f"format {number}"
        raise InputError(
            f"{place}: has {known}, but this version reads format {FORMAT}; install the version that made it"
        )
    description = plain_data.section(Description, values, place, "")
    read = plain_data.section
    members = tuple(read(Member, one, place, f"members.{n}") for n, one in enumerate(description.members))
    scored = {
        name: {key: read(Score, one, place, f"{name}.{key}") for key, one in getattr(description, name).items()}
        for name in ("scores", "experiment_scores")
    }
    return Description(**vars(description) | scored | {"members": members})
