"""What brings a published set in: its archives fetched, unpacked beside the target, read and removed."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.datasets.collect import collecting
from pipeline.datasets.collect.dataset import Collected, DataSet, Picture, Request
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sets import known
from pipeline.datasets.download import archives, fetching
from pipeline.datasets.download.download import Download
from pipeline.datasets.prepared.manifest import Rejected, Row

# What is published as it is; anything else is an archive.
_PLAIN_FILES = (".txt", ".mat")


def check(row: DataSet, archive: str | None) -> None:
    """Check, without opening a file, that the user's copy of a set is of use, and there if it has to be.

    Args:
        row: of a published set.
        archive: its place; None where none is named.

    Raises:
        InputError: saying what to get where, or what is wrong with the place.
    """
    lost = [download.name for download in row.downloads if not download.urls]
    if lost and archive is None:
        raise InputError(
            f"archive: {row.title} cannot be downloaded by a program; {row.obtaining} ({row.home}), put "
            f"{', '.join(lost)} or what is in them into one folder, and add -S archive=/path/to/that/folder"
        )
    # A sweep over `data` keeps an archive that only some of the sets read.
    if row.downloads and archive is not None:
        _check_copy(row, Path(archive))


def bring(request: Request) -> Collected:
    """Fetch a set, unpack it beside the target, read it, and bring its images in; what was unpacked is removed.

    Args:
        request: its place is an absolute path in place of downloads: the one file that is published, a folder with
            the files that are, or a folder or one archive with all that they hold.

    Raises:
        InputError: where a file is missing, is not the one published, or the number of classes is not the row's.
    """
    row = known(request.name)
    check(row, request.place)
    own = Path(request.place) if request.place else None
    with _unpacked(row, own, request.cache, beside=request.target.parent) as folder:
        try:
            held = row.read(folder)
        except InputError as error:
            raise InputError(f"{request.name}: {error}") from None
        check_classes(request.name, held)
        if not isinstance(held, Layout):
            return Collected(row.title, collecting.save(held, request.target), [])
        return Collected(row.title, *copied(held, request.target))


def copied(held: Layout, target: Path) -> tuple[list[Row], list[Rejected]]:
    """Copy a folder's images below `target`.

    Returns:
        A row an image that is used, and a row a file that is not.

    Raises:
        InputError: where a class is left with too few.
    """
    rows, refused = collecting.bring(held.files, target)
    rejected = sorted(refused + [Rejected(*out) for out in held.left_out])
    collecting.check_classes(held.files, rows, rejected)
    return rows, rejected


def check_classes(name: str, held: Layout | list[Picture]) -> None:
    """Check that a set has as many classes as its row says.

    Raises:
        InputError: where it has not.
    """
    images = held.files if isinstance(held, Layout) else held
    classes, expected = len({image.label for image in images}), known(name).classes
    if classes != expected:
        raise InputError(f"{name}: {classes} classes in place of {expected}; take the whole set as it is published")


def totals(name: str, rows: Sequence[Row]) -> list[str]:
    """Return what came of a set, beside what is published of it, in lines to show.

    Args:
        name: the set.
        rows: what was accepted.

    Returns:
        A line for all images, and one a class where a paper prints the classes' numbers.
    """
    row, counts = known(name), Counter(image.label for image in rows)
    beside = f", {row.counts.images:,} published" if row.counts.images else ""
    return [
        f"{row.title}: {len(rows):,} images{beside}",
        *(f"{label}: {counts[label]} images, {sum(printed)} printed" for label, printed in row.printed.items()),
    ]


def described(name: str) -> dict[str, Any] | None:
    """Return what is published of a set, as plain data for the stages that come after and for the report.

    Returns:
        Its `home`, `terms`, `citation`, `official` split, `paper` and `known_overlap` as texts, `counts` by name, and
        `per_class` (None where all images are taken) and `printed` as `splits.PerClass` and `splits.beside` have them;
        None where the set is not published.
    """
    row = known(name)
    if not row.is_published:
        return None
    texts = ("home", "terms", "citation", "official", "paper", "known_overlap")
    return {key: getattr(row, key) for key in texts} | {
        "counts": row.counts._asdict(),
        "per_class": row.per_class and row.per_class._asdict(),
        "printed": {label: list(printed) for label, printed in row.printed.items()},
    }


def _check_copy(row: DataSet, own: Path) -> None:
    if not own.is_absolute():
        raise InputError(f"archive: '{own}' is relative, which queued runs would not find; give an absolute path")
    if not own.exists():
        raise InputError(f"archive: '{own}' does not exist; give the file or folder with {row.title}")
    missing = [download.name for download in row.downloads if not _own_copy(own, download)]
    if own.is_dir() and not _is_unpacked(row, own) and missing:
        raise InputError(f"archive: '{own}' has no {missing[0]}; put all files of {row.title} there")


def _is_unpacked(row: DataSet, folder: Path) -> bool:
    """Whether a folder of the user's holds none of the archives, so that it is to have what is in them."""
    packed = [download for download in row.downloads if not download.name.endswith(_PLAIN_FILES)]
    return not any(_own_copy(folder, download) for download in packed)


def _own_copy(own: Path, download: Download) -> Path | None:
    """The user's copy of a download in a folder, under the name that it has there or in the cache."""
    names = [download.name, *(url.rpartition("/")[2] for url in download.urls)]
    return next((own / name for name in names if (own / name).is_file()), None)


@contextmanager
def _unpacked(row: DataSet, own: Path | None, cache: Path | None, *, beside: Path) -> Iterator[Path]:
    """The folder with all that a set's files hold: the user's own, or a temporary one."""
    if own and own.is_dir() and _is_unpacked(row, own):
        yield own
        return
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=beside) as scratch:
        if own and not own.is_dir() and len(row.downloads) > 1:
            archives.unpack(own, Path(scratch) / "all", wanted=row.wanted)
        else:
            # All of them first: what cannot be had is told before anything is unpacked.
            files = [(download.name, _file(download, own, cache)) for download in row.downloads]
            for name, file in files:
                _place(name, file, Path(scratch), row.wanted)
        yield Path(scratch)


def _file(download: Download, own: Path | None, cache: Path | None) -> Path:
    if own is None:
        return fetching.fetch(download, cache=cache)
    return fetching.local(download, (_own_copy(own, download) or own) if own.is_dir() else own)


def _place(name: str, file: Path, scratch: Path, wanted: Callable[[str], bool] | None) -> None:
    if name.endswith(_PLAIN_FILES):
        shutil.copyfile(file, scratch / name)
    else:
        archives.unpack(file, scratch / name, wanted=wanted)
