"""The collection of any data set by its row, and a check beforehand that it is possible."""

from pathlib import Path

from pipeline.core import paths
from pipeline.core.choices import load
from pipeline.core.errors import InputError
from pipeline.datasets.collect import collecting, published
from pipeline.datasets.collect.dataset import Collected, DataSet, Request
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.location import check_location
from pipeline.datasets.collect.sets import known
from pipeline.datasets.prepared import leaks


def check(name: str, place: str | None, *, on_leak: leaks.Choice = "allow") -> None:
    """Check, without opening a file, that the path to a set's files can be used, and is set if the set needs one.

    Args:
        name: the set.
        place: value of params.yaml under the row's `given_by`; None if it has none.
        on_leak: treatment of images of one group in two parts, which the user's own folder may have.

    Raises:
        InputError: if a path is needed or unusable; the message says what to get and where. For a group in two parts if
            that is refused.
    """
    row = known(name)
    if row.given_by == "folder":
        layout = read_own(row, place)
        if on_leak == "refuse":
            leaks.check_groups(layout.files)
    else:
        published.check(name, place)


def bring(request: Request) -> Collected:
    """Collect a set's images with the function that its row names.

    Raises:
        InputError: if they are unavailable, or do not fit the row.
    """
    collected: Collected = load(known(request.name).bring)(request)
    return collected


def bring_own(request: Request) -> Collected:
    """Copy the user's own folder; check the classes if it holds a published set."""
    row = known(request.name)
    layout = read_own(row, request.place)
    if row.is_published:
        published.check_classes(request.name, layout)
    for line in filter(None, [*layout.notes, layout.tested]):
        print(f"collect: note: {line}")
    return Collected(title_of(row, request.place), *published.copied(layout, request.target), layout.tested)


def draw(request: Request) -> Collected:
    """Draw the synthetic images in the number and size of the request."""
    drawings = collecting.spiders(**request.drawing)
    return Collected(known(request.name).title, collecting.draw(drawings, request.target), [])


def read_own(row: DataSet, place: str | None) -> Layout:
    """Return the classes and files of the user's folder, from names alone.

    Raises:
        InputError: if the folder cannot be used.
    """
    folder = Path(place or paths.OWN_FOLDER)
    # The default folder is empty as long as the user's copy is neither there nor named.
    if row.is_published and folder == paths.OWN_FOLDER and not any(entry.is_dir() for entry in folder.glob("*")):
        raise InputError(
            f"folder: {folder} is empty, and {row.title} is not public; {row.obtaining}, put its class folders there, "
            "or name the folder that they are in: -S folder=/path/to/it"
        )
    layout = row.read(check_location(str(folder)))
    assert isinstance(layout, Layout), "the reader of a folder returns its files"
    return layout


def title_of(row: DataSet, place: str | None) -> str:
    """Return the title of a set in a folder: the row's, or the folder's name for the user's own set."""
    return row.title if row.is_published else Path(place or paths.OWN_FOLDER).name
