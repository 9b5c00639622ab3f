"""The images of an experiment's set, before it runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.config import Resolved
from pipeline.core.errors import InputError
from pipeline.datasets.collect import bringing, collecting, sets
from pipeline.datasets.collect.dataset import Request
from pipeline.datasets.collect.folder import ImageFile
from pipeline.datasets.prepared.manifest import Rejected, Row


class Seen(NamedTuple):
    """The images of a set as they were found.

    Attributes:
        folder: where the rows' paths begin.
        title: the set's name.
        rows: what can be used.
        rejected: what cannot.
        fault: why a run would refuse the set for its numbers of images; empty where it would not.
        notes: what `collect` would say of the folder, in lines.
        tested: what it would say of validation images that are taken as the test part; "" where none are.
    """

    folder: Path
    title: str
    rows: list[Row]
    rejected: list[Rejected]
    fault: str = ""
    notes: tuple[str, ...] = ()
    tested: str = ""


def look(resolved: Resolved, target: Path) -> Seen:
    """Return the images of the experiment's set: the user's own where they are, others below `target`, which is made.

    Raises:
        InputError: where the set cannot be had.
    """
    name = resolved.recipe.data.set
    row = sets.known(name)
    place = resolved.settings.place_of(row.given_by)
    if row.given_by == "folder" and not row.is_published:
        layout = bringing.read_own(row, place)
        rows, refused = collecting.inspect(layout.files)
        rejected = sorted(refused + [Rejected(*out) for out in layout.left_out])
        return Seen(
            Path(resolved.settings.axes.folder),
            bringing.title_of(row, place),
            rows,
            rejected,
            _fault(layout.files, rows, rejected),
            layout.notes,
            layout.tested,
        )
    target.mkdir()
    drawing = resolved.recipe.options_of("data")
    brought = bringing.bring(Request(name, target, place=place, drawing=drawing))
    return Seen(target, brought.title, brought.rows, brought.rejected, tested=brought.tested)


def _fault(files: Sequence[ImageFile], rows: Sequence[Row], rejected: Sequence[Rejected]) -> str:
    try:
        collecting.check_classes(files, rows, rejected)
    except InputError as error:
        return str(error)
    return ""
