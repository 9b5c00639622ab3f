"""The contents of a bundle's folder: its networks, its files with their digests, and bundle.json; imports no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.bundles import description
from pipeline.bundles.description import Description, Kind
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.interpolation import INTERPOLATIONS
from pipeline.datasets.decoding import images as decoding

CARD = "README.md"
WEIGHTS = "weights{}.safetensors"
# The rules that this version decodes by; `Preprocessing` explains them.
DECODING: dict[str, Any] = {
    "orientation": "exif",
    "colors": "RGB",
    "transparency": "white",
    "draft": decoding.DRAFT,
}


def describe(folder: Path) -> Description:
    """Return bundle.json of a bundle whose files are whole.

    Raises:
        InputError: for a folder that is none, or a file that is missing or damaged.
    """
    file = folder / description.FILE
    if not file.is_file():
        raise InputError(f"{folder}: no bundle: has no {description.FILE}; `orbweaver bundle` makes one")
    listed = check(folder)
    said = description.parse(file.read_bytes(), file)
    # A name with a folder in it is never listed.
    for member in said.members:
        if member.file not in listed:
            raise InputError(
                f"{file}: members: {member.file!r} is not among the files of {paths.SUMS}; copy the bundle again"
            )
    rules: dict[str, tuple[Any, ...]] = {name: (rule,) for name, rule in DECODING.items()}
    for name, known in (rules | {"resampling": INTERPOLATIONS}).items():
        if (value := getattr(said.preprocessing, name)) not in known:
            accepted = " or ".join(map(repr, known))
            raise InputError(
                f"{file}: preprocessing.{name}: {value!r} is unknown; this version knows {accepted}; install the "
                "version that made it"
            )
    return said


def check(folder: Path) -> set[str]:
    """Compare every file of a bundle with the digest that was written with it; return their names.

    Raises:
        InputError: naming the first that is missing or is another.
    """
    sums = folder / paths.SUMS
    text = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else ""
    listed = digests.listed(text)
    if description.FILE not in listed or len(listed) != len(text.splitlines()):
        raise InputError(f"{sums}: missing or damaged; copy the bundle again")
    for name, digest in listed.items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file, and {paths.SUMS} lists it; copy the bundle again")
        if digests.sha256(folder / name) != digest:
            raise InputError(f"{folder / name}: damaged: not what {paths.SUMS} says; copy the bundle again")
    return set(listed)


def repeats(kind: Kind, repeat: int | None, numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the repeats whose networks a bundle gets.

    Args:
        kind: `repeat` or `ensemble`.
        repeat: the one that is asked for; None for the first.
        numbers: those of the experiment.

    Raises:
        InputError: for a repeat that the experiment does not have.
    """
    if kind == "ensemble":
        return tuple(numbers)
    number = numbers[0] if repeat is None else repeat
    if number not in numbers:
        raise InputError(f"--repeat {number}: the experiment has the repeats {', '.join(map(str, numbers))}")
    return (number,)
