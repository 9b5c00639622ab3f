"""Digests that a stage writes with its outputs and a later one checks: a wrong byte is named, never used.

A folder holds those of its files in SHA256SUMS, and a file that is an output by itself has one beside it;
`sha256sum --check` reads both. DVC looks at a file's size and time alone, and at a file in its cache not at all.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.core import paths, restoring
from pipeline.core.errors import AGAIN, InputError

Read = Callable[[Path], bytes]

# As `sha256sum` writes it; a name with a folder in it is none of ours.
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^/\n]+)")
# How much of a digest stands in a message.
_SHOWN = 12


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hex; it is read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def listed(text: str) -> dict[str, str]:
    r"""Return the digests in the text of SHA256SUMS by the files' names; a line of any other form is passed over.

    >>> listed(f"{'0' * 64}  a b.csv\n{'1' * 64}  ../c.csv\nnonsense\n") == {"a b.csv": "0" * 64}
    True
    """
    return {match["name"]: match["digest"] for match in map(_LINE.fullmatch, text.split("\n")) if match}


def seal(place: Path, known: Mapping[str, str] | None = None) -> None:
    """Write the digests of a folder's own files, not of those in folders below, or of one file.

    Args:
        place: a folder, before it is moved into place, or a file that is there.
        known: digests by name that were computed while the file was written.
    """
    known = known or {}
    sums = place / paths.SUMS if place.is_dir() else paths.digests(place)
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    own = [file for file in files if file.is_file() and file != sums]
    lines = [f"{known.get(file.name) or sha256(file)}  {file.name}\n" for file in own]
    with paths.written_whole(sums) as target:
        target.write_text("".join(lines), encoding="utf-8")


def check(*files: Path) -> None:
    """Compare files with the digests that were written with them.

    Raises:
        InputError: for a file that is missing or is not what was written, with the way to have it back.
    """
    for file in files:
        try:
            expected, digest = _expected(file, Path.read_bytes), sha256(file)
        except FileNotFoundError as error:
            raise InputError(f"{error.filename}: no such file; `dvc repro` makes it") from None
        compare(file, digest, expected, paths.digests(file))


def read(file: Path, files: Read = Path.read_bytes, again: str = AGAIN) -> bytes:
    """Return the content of a file, compared with the digest that was written with it.

    Args:
        file: relative to the project's root.
        files: reads a file of another revision.
        again: what makes the files of that revision again, for messages.

    Raises:
        InputError: for a file that is not what was written, with the way to have it back.
        FileNotFoundError: for one that is not there.
    """
    expected, content = _expected(file, files, again), files(file)
    compare(file, hashlib.sha256(content).hexdigest(), expected, paths.digests(file), files, again)
    return content


def compare(
    file: Path, digest: str, expected: str, sums: Path, files: Read = Path.read_bytes, again: str = AGAIN
) -> None:
    """Refuse a file whose digest is not the one that `sums` has.

    Raises:
        InputError: with the way to have it back.
    """
    if digest != expected:
        raise InputError(
            f"{file}: damaged: its SHA-256 is {digest[:_SHOWN]}..., and {sums.name} has {expected[:_SHOWN]}...; "
            f"{restoring.way_out(file, sums, files, again)}"
        )


def _expected(file: Path, files: Read, again: str = AGAIN) -> str:
    sums = paths.digests(file)
    known = listed(files(sums).decode("utf-8", "replace"))
    if file.name not in known:
        way_out = restoring.way_out(file, sums, files, again)
        raise InputError(f"{sums}: damaged: has no SHA-256 of {file.name}; {way_out}")
    return known[file.name]
