"""What brings any set in, by its row, and checks beforehand that it can be brought."""

from pathlib import Path

from pipeline.core import paths
from pipeline.core.choices import load
from pipeline.core.errors import InputError
from pipeline.datasets.collect import collecting, published
from pipeline.datasets.collect.dataset import Collected, DataSet, Request
from pipeline.datasets.collect.folder import Layout, check_location
from pipeline.datasets.collect.sets import known


def check(name: str, place: str | None) -> None:
    """Check, without opening a file, that the place of a set's own files is of use, and there if it has to be.

    Args:
        name: the set.
        place: what params.yaml has under the row's `given_by`; None where it names none.

    Raises:
        InputError: saying what to get where, or what is wrong with the place.
    """
    row = known(name)
    if row.given_by == "folder":
        read_own(row, place)
    else:
        published.check(row, place)


def bring(request: Request) -> Collected:
    """Bring a set's images in.

    Raises:
        InputError: where they cannot be had, or are not what the row says.
    """
    collected: Collected = load(known(request.name).bring)(request)
    return collected


def bring_own(request: Request) -> Collected:
    """Copy the user's own folder; one of a published set has the classes of its row."""
    row = known(request.name)
    held = read_own(row, request.place)
    if row.is_published:
        published.check_classes(request.name, held)
    return Collected(title_of(row, request.place), *published.copied(held, request.target))


def draw(request: Request) -> Collected:
    """Draw the images, as many and as large as is asked for."""
    drawings = collecting.spiders(**request.drawing)
    return Collected(known(request.name).title, collecting.draw(drawings, request.target), [])


def read_own(row: DataSet, place: str | None) -> Layout:
    """Return what is in the user's folder, by the names of files alone.

    Raises:
        InputError: where it cannot be used.
    """
    folder = Path(place or paths.OWN_FOLDER)
    if row.is_published and folder == paths.OWN_FOLDER and not any(inside.is_dir() for inside in folder.glob("*")):
        raise InputError(
            f"folder: {folder} is empty, and {row.title} is not public; {row.obtaining}, put its class folders there, "
            "or name the folder that they are in: -S folder=/path/to/it"
        )
    held = row.read(check_location(str(folder)))
    assert isinstance(held, Layout), "the reader of a folder returns its files"
    return held


def title_of(row: DataSet, place: str | None) -> str:
    """Return what a set in a folder is called: the user's own by that folder."""
    return row.title if row.is_published else Path(place or paths.OWN_FOLDER).name
