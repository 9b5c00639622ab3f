"""The collection of a published set: fetch its archives, unpack them next to the target, read and remove them."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.datasets.collect import collecting, listing
from pipeline.datasets.collect.dataset import Collected, DataSet, Picture, Request
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sets import SETS, known
from pipeline.datasets.download import archives, fetching
from pipeline.datasets.download.archive_members import DamagedError
from pipeline.datasets.download.download import Download
from pipeline.datasets.prepared.manifest import Rejected, Row

# Files with these endings are published as they are; all others are archives.
_PLAIN_FILES = (".txt", ".mat")


def check(name: str, archive: str | None) -> None:
    """Check, without opening a file, that the user's copy of a set can be used, and is named if it is needed.

    Args:
        name: the set, a published one.
        archive: path to the user's copy, or to a folder with copies of several sets; None if none is named.

    Raises:
        InputError: if a copy is needed or unusable; the message says what to get and where.
    """
    row = known(name)
    unavailable = [download.name for download in row.downloads if not download.urls]
    files = f"{', '.join(unavailable)} or what is in them"
    if unavailable and archive is None:
        raise InputError(
            f"archive: {row.title} cannot be downloaded by a program; {row.obtaining} ({row.home}), put "
            f"{files} into one folder, and add -S archive=/path/to/that/folder"
        )
    # A sweep over `data` keeps an archive that only some of the sets read.
    if not row.downloads or archive is None:
        return
    _check_place(row, Path(archive))
    if own := copy_of(name, Path(archive)):
        _check_copy(row, own)
    elif unavailable:
        raise InputError(
            f"archive: '{archive}' has folders of other sets and none of {row.title}, which cannot be downloaded by a "
            f"program; {row.obtaining} ({row.home}), and put {files} into the folder '{Path(archive) / name}'"
        )


def copy_of(name: str, archive: Path) -> Path | None:
    """Return the user's copy of a set: the folder in `archive` that has the set's name, or `archive` itself.

    Args:
        name: the set.
        archive: a set's file or folder, or a folder with one folder per set, named as in `data`.

    Returns:
        None where `archive` has folders of other sets and nothing of this one.
    """
    downloads = known(name).downloads
    # Two sets may be drawn from the same files.
    same = [name, *(other for other, row in SETS.items() if row.downloads == downloads and other != name)]
    if own := next((archive / one for one in same if (archive / one).is_dir()), None):
        return own
    entries = archive.iterdir() if archive.is_dir() else ()
    folders = {path.name for path in entries if path.is_dir() and not listing.is_passed_over(path.name)}
    if folders and folders <= set(SETS) and not any(_own_copy(archive, download) for download in downloads):
        return None
    return archive


def bring(request: Request) -> Collected:
    """Fetch a set, unpack it next to the target, and copy its images; remove the unpacked files.

    Args:
        request: its `place` is an absolute path that replaces downloads: the published file, a folder with the
            published files, or a folder or one archive with their contents; or a folder with one such folder per set.

    Raises:
        InputError: if a file is missing or not the published one, or the number of classes is not the row's.
    """
    row = known(request.name)
    check(request.name, request.place)
    own = copy_of(request.name, Path(request.place)) if request.place else None
    if request.place and not own:
        print(f"collect: note: archive: '{request.place}' has no folder {request.name}, so the set is downloaded")
    with _unpacked(row, own, request.cache, parent=request.target.parent) as folder:
        try:
            contents = row.read(folder)
            check_classes(request.name, contents)
        except InputError as error:
            line = str(error).removeprefix(f"{request.name}: ")
            line = f"archive: '{own}': {line}" if own else f"{line}{_without_lists(row, request.cache)}"
            raise InputError(f"{request.name}: {line}") from None
        if not isinstance(contents, Layout):
            return Collected(row.title, collecting.save(contents, request.target), [])
        return Collected(row.title, *copied(contents, request.target))


def copied(layout: Layout, target: Path) -> tuple[list[Row], list[Rejected]]:
    """Copy a folder's images below `target`.

    Returns:
        One row per accepted image, and one per rejected file.

    Raises:
        InputError: if a class has too few accepted images.
    """
    rows, refused = collecting.bring(layout.files, target)
    rejected = sorted(refused + [Rejected(*out) for out in layout.left_out])
    collecting.check_classes(layout.files, rows, rejected)
    return rows, rejected


def check_classes(name: str, contents: Layout | list[Picture]) -> None:
    """Check that a set has as many classes as its row says.

    Raises:
        InputError: if it has not.
    """
    images = contents.files if isinstance(contents, Layout) else contents
    classes, expected = len({image.label for image in images}), known(name).classes
    if classes != expected:
        there = counted(classes, "class", "classes")
        raise InputError(f"{name}: {there} in place of {expected}; use the whole set as it is published")


def totals(name: str, rows: Sequence[Row]) -> list[str]:
    """Return lines for the user that compare a collected set with the published numbers.

    Args:
        name: the set.
        rows: the accepted images.

    Returns:
        One line for all images, and one per class if a paper prints the numbers of its classes.
    """
    row, counts = known(name), Counter(image.label for image in rows)
    published = f", {row.counts.images:,} published" if row.counts.images else ""
    return [
        f"{row.title}: {counted(len(rows), 'image')}{published}",
        *(
            f"{label}: {counted(counts[label], 'image')}, {sum(printed)} printed"
            for label, printed in row.printed.items()
        ),
    ]


def described(name: str) -> dict[str, Any] | None:
    """Return the published facts of a set as plain data, for later stages and the report.

    Returns:
        `home`, `terms`, `citation`, `official`, `paper` and `known_overlap` as texts, `counts` by name, `per_class`
        as `PerClass` (None if all images are taken) and `printed` as `comparison_lines` takes it; None if the
        set is not published.
    """
    row = known(name)
    if not row.is_published:
        return None
    texts = ("home", "terms", "citation", "official", "paper", "known_overlap")
    return {key: getattr(row, key) for key in texts} | {
        "counts": row.counts._asdict(),
        "per_class": row.per_class and row.per_class.model_dump(),
        "printed": {label: list(printed) for label, printed in row.printed.items()},
    }


def _check_place(row: DataSet, own: Path) -> None:
    if not own.is_absolute():
        raise InputError(f"archive: '{own}' is relative, which queued runs would not find; give an absolute path")
    if not own.exists():
        raise InputError(f"archive: '{own}' does not exist; give the file or folder with {row.title}")


def _check_copy(row: DataSet, own: Path) -> None:
    missing = [download.name for download in row.downloads if not _own_copy(own, download)]
    if own.is_dir() and not _is_unpacked(row, own) and missing:
        raise InputError(f"archive: '{own}' has no {missing[0]}; put all files of {row.title} there")


def _is_unpacked(row: DataSet, folder: Path) -> bool:
    """Return whether the user's folder has none of the archives, so that it should have their contents."""
    packed = [download for download in row.downloads if not download.name.endswith(_PLAIN_FILES)]
    return not any(_own_copy(folder, download) for download in packed)


def _own_copy(own: Path, download: Download) -> Path | None:
    """Return the user's copy of a download, under its name on the server or in the cache; None if it is missing."""
    names = [download.name, *(url.rpartition("/")[2] for url in download.urls)]
    return next((own / name for name in names if (own / name).is_file()), None)


@contextmanager
def _unpacked(row: DataSet, own: Path | None, cache: Path | None, *, parent: Path) -> Iterator[Path]:
    """Yield the folder with a set's unpacked files: the user's own, or a temporary one in `parent`."""
    if own and own.is_dir() and _is_unpacked(row, own):
        yield own
        return
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=parent) as scratch:
        if own and not own.is_dir() and len(row.downloads) > 1:
            archives.unpack(own, Path(scratch) / "all", wanted=row.wanted)
        else:
            # All files first: a missing one is reported before anything is unpacked.
            files = [(download, _file(download, own, cache)) for download in row.downloads]
            for download, file in files:
                try:
                    _place(download.name, file, Path(scratch), row.wanted)
                except DamagedError as error:
                    if own:
                        raise
                    way_out = fetching.forget(download, cache=cache)
                    raise InputError(f"{file}: {error.fault}; nothing was kept; {way_out}") from None
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


def _without_lists(row: DataSet, cache: Path | None) -> str:
    """Give up the lists of a set that cannot be read, where nothing tells whether they are whole, and say so."""
    lists = [one for one in row.downloads if one.name.endswith(_PLAIN_FILES) and not one.checksum[1]]
    ways_out = [f"; {one.name}: {fetching.forget(one, cache=cache)}" for one in lists]
    return "".join(ways_out)
