"""Places that a bundle's results are written to: nothing that is read or that is someone else's is in their way."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.bundles import tables
from pipeline.core.errors import InputError


class Outputs(NamedTuple):
    """Where results go; None for what is not asked for."""

    table: Path | None
    page: Path | None
    maps: Path | None
    classes: Path | None

    @property
    def places(self) -> list[Path]:
        """All that are asked for."""
        return [place for place in self if place is not None]


def checked(outputs: Outputs, given: Sequence[str], bundle: Path) -> Outputs:
    """Return the places of results; each can be written to and is not what is read, nor in the bundle.

    Raises:
        InputError: naming the first that cannot.
    """
    if outputs.table and outputs.table.suffix.lower() not in tables.FORMATS:
        raise InputError(f"--out {outputs.table}: its ending is none of {', '.join(tables.FORMATS)}")
    for name, place in (("--out", outputs.table), ("--page", outputs.page)):
        if place and place.is_dir():
            raise InputError(f"{name} {place}: is a folder; name a file")
        if place and place.parent.exists() and not place.parent.is_dir():
            raise InputError(f"{name} {place}: {place.parent} is a file; name another place")
    for name, place in (("--cam", outputs.maps), ("--sort-into", outputs.classes)):
        if place and place.exists() and not place.is_dir():
            raise InputError(f"{name} {place}: is a file; name a folder")
        if place and any(place.resolve() == Path(one).resolve() for one in given):
            raise InputError(f"{name} {place}: is the input folder; name another folder")
    for name, place in zip(("--out", "--page", "--cam", "--sort-into"), outputs, strict=True):
        if place:
            check_outside(name, place, bundle)
    return outputs


def check_outside(option: str, place: Path, bundle: Path) -> None:
    """Refuse a place in a bundle, whose files are as they were sealed.

    Raises:
        InputError: naming the option and the place.
    """
    if place.resolve().is_relative_to(bundle.resolve()):
        raise InputError(f"{option} {place}: is in the bundle {bundle}; name a place outside")
