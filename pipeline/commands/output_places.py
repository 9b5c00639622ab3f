"""Places that a bundle's results are written to: nothing that is read or that is someone else's is in their way."""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from pipeline.bundles import tables
from pipeline.bundles.sorting import is_map_name, map_name
from pipeline.core.errors import InputError
from pipeline.datasets.collect.listing import names

OPTIONS = ("--out", "--page", "--cam", "--sort-into")
# Those that name a file; the others name a folder, in which other files stay.
FILES = OPTIONS[:2]


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
    """Return the places of results; each can be written to and is not what is read, in the bundle or another's place.

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
    named = [(name, place) for name, place in zip(OPTIONS, outputs, strict=True) if place]
    for name, place in named:
        check_outside(name, place, bundle)
    for (name, place), (other_name, other) in permutations(named, 2):
        if place.resolve() == other.resolve():
            raise InputError(f"{name} {place}, {other_name} {other}: the same place twice; name two")
        if name in FILES and place.resolve() in other.resolve().parents:
            raise InputError(f"{other_name} {other}: is in {place}, which {name} writes as a file; name another place")
    return outputs


def check_maps(folder: Path, images: Sequence[str]) -> None:
    """Refuse a folder that holds maps of other images or rows: they would look like some of this call.

    Args:
        folder: where maps go.
        images: paths, in the order of their rows.

    Raises:
        InputError: naming the folder and the maps.
    """
    own = {map_name(row, path) for row, path in enumerate(images, 1)}
    inside = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    if others := [name for name in inside if is_map_name(name) and name not in own]:
        raise InputError(f"--cam {folder}: holds maps of another call, {names(others)}; name another, or move them")


def check_outside(option: str, place: Path, bundle: Path) -> None:
    """Refuse a place in a bundle, whose files are as they were sealed.

    Raises:
        InputError: naming the option and the place.
    """
    if place.resolve().is_relative_to(bundle.resolve()):
        raise InputError(f"{option} {place}: is in the bundle {bundle}; name a place outside")
