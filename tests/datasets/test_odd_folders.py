"""Folders of photographs as nobody should have them: each is refused in one short line, or taken with one on the rest.

Read as `orbweaver doctor` and the stage `collect` read the user's own folder.
"""

import contextlib
import io
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tiny
from PIL import Image
from refusals import note, refusal

from pipeline import config
from pipeline.commands import doctor

NOBODY = 65534
# Latin letters with what stands above them in one sign, and in two.
ONE_SIGN, TWO_SIGNS = "\u00e9t\u00e9", "e\u0301te\u0301"
MANY = 4_000


class Odd(NamedTuple):
    """One case: what is wrong, what makes it in an empty folder and may give another place, and its line or a part."""

    name: str
    make: Callable[[Path], object]
    line: str


def image(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(stream := io.BytesIO(), kind)
    return stream.getvalue()


def put(file: Path, content: bytes = b"") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def classes(place: Path, *names: str, images: int = 2) -> Path:
    """Make class folders with different images."""
    for label, name in enumerate(names):
        for number in range(images):
            put(place / name / f"{number}.png", image(100 * label + number))
    return place


def whole(place: Path, *more: str) -> Path:
    """Make two classes without fault, and further ones."""
    return classes(place, "cat", "dog", *more)


def also(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what makes two classes without fault, and one thing more beside or in them; the place stays."""

    def both(place: Path) -> None:
        make(whole(place))

    return both


def elsewhere(word: Callable[[Path], str]) -> Callable[[Path], object]:
    """Return what makes two classes without fault, and names them in a way of its own."""
    return lambda place: word(whole(place))


def relative(place: Path) -> str:
    return os.path.relpath(whole(place))


def bound(place: Path) -> None:
    # The name of a socket may be short alone.
    with socket.socket(socket.AF_UNIX) as own, contextlib.chdir(place / "cat"):
        own.bind("s.png")


def endless(place: Path) -> None:
    (place / "cat/again").symlink_to(place / "cat")


def outside(place: Path) -> None:
    other = classes(place.parent / "other", "x")
    (place / "cat/more").symlink_to(other / "x")


CASES = (
    Odd("nothing", lambda place: None, "is empty; put one folder a class into it"),
    Odd("only hidden files", lambda place: put(place / ".DS_Store"), "is empty; put one folder a class into it"),
    Odd("a missing folder", lambda place: f"{place}/none", "does not exist; give the folder that holds the class"),
    Odd("a file", lambda place: str(put(place / "a.zip", b"PK")), "is not a folder; give the folder that holds"),
    Odd("a link to nowhere", lambda place: (place / "cat").symlink_to("nowhere"), "no class folders; put the images"),
    Odd("images without class folders", lambda place: put(place / "1.png", image(1)), "no class folders; put the"),
    Odd("one class", lambda place: classes(place, "cat"), "only one class, 'cat'; two are needed"),
    Odd("classes a level deeper", lambda place: classes(place / "photos", "cat", "dog"), "or give "),
    Odd("an empty class", also(lambda place: (place / "bird").mkdir()), "the class 'bird' has no image; 2 or more"),
    Odd("a class of one image", also(lambda place: classes(place, "a", images=1)), "the class 'a' has 1 image; 2"),
    Odd("a class of one image twice", lambda place: [put(whole(place) / "a" / n, image(9)) for n in "12"], "1 differ"),
    Odd(
        "an image in two classes",
        lambda place: [put(whole(place) / n, image(9)) for n in ("cat/x", "dog/x")],
        "; dog/x = c",
    ),
    Odd("a class of no images", lambda place: [put(whole(place) / "a" / n, b"text") for n in "12"], "0 different usa"),
    Odd("nested folders in a class", lambda place: classes(place, "cat/a", "cat/b", "dog/c/d/e"), "6 images in 2 cl"),
    Odd("a loop of links", also(endless), "4 images in 2 classes"),
    Odd("a link out of the folder", also(outside), "6 images in 2 classes"),
    Odd("a link to an image", also(lambda place: (place / "cat/l.png").symlink_to(place / "cat/0.png")), "5 images"),
    Odd("a broken link", also(lambda place: (place / "cat/l.png").symlink_to("nowhere")), "cat/l.png: is a link to"),
    Odd("a file beside the classes", also(lambda place: put(place / "notes.txt")), "; .txt 1"),
    Odd("names with blanks", lambda place: classes(place, "my cat", "my  dog"), "4 images in 2 classes"),
    Odd("blanks at the ends", lambda place: classes(place, " cat", "dog "), "4 images in 2 classes"),
    Odd("one name with blanks at the ends", lambda place: classes(place, " cat", "cat "), "differ only in case, Uni"),
    Odd("emoji", lambda place: classes(place, "\U0001f577\ufe0f", "\U0001f431"), "4 images in 2 classes"),
    Odd("right to left", lambda place: classes(place, "\u05d7\u05ea\u05d5\u05dc", "\u0643\u0644\u0628"), "4 images in"),
    Odd("one name in two Unicode forms", lambda place: classes(place, ONE_SIGN, TWO_SIGNS), "differ only in case, Uni"),
    Odd("names that differ in case", lambda place: classes(place, "Cat", "cat"), "differ only in case, Uni"),
    Odd("a dot in front", also(lambda place: classes(place, ".bird")), "4 images in 2 classes"),
    Odd("dashes in front", lambda place: classes(place, "-cat", "--help"), "4 images in 2 classes"),
    Odd("a line break in a class", also(lambda place: classes(place, "a\nb")), "has control characters"),
    Odd("a line break in a file", also(lambda place: put(place / "cat/a\nb.png", image(9))), "a\\x0ab.png: its name h"),
    Odd("a tab in a class", also(lambda place: classes(place, "a\tb")), "has control characters; rename"),
    Odd("an escape in a class", also(lambda place: classes(place, "\x1b[31m")), "has control characters"),
    Odd("a class that is no UTF-8", also(lambda place: classes(place, "\udcff")), "is not UTF-8; rename the class"),
    Odd(
        "a file that is no UTF-8", also(lambda place: put(place / "cat/\udcff.png", image(9))), "its name is not UTF-8"
    ),
    Odd("quotes", lambda place: classes(place, "'cat'", '"dog"'), "4 images in 2 classes"),
    Odd("a script", lambda place: classes(place, "<script>alert(1)<", "a & b"), "4 images in 2 classes"),
    Odd("dots", lambda place: classes(place, "...", "..a", "b.."), "only one class, 'b..'"),
    Odd("very long names", lambda place: classes(place, "a" * 255, "b" * 255), "4 images in 2 classes"),
    Odd(
        "a very long name that is wrong",
        also(lambda place: (place / ("a" * 255)).mkdir()),
        "(257 characters) has no image; 2",
    ),
    Odd("names of devices of Windows", lambda place: classes(place, "CON", "nul", "aux.x"), "6 images in 3 classes"),
    Odd("a class called train", lambda place: classes(place, "train", "cat"), "4 images in 2 classes"),
    Odd("train and no test", lambda place: classes(place / "train", "cat", "dog"), "without a part named test; add it"),
    Odd("train beside a class", also(lambda place: classes(place / "train", "a", "b")), "'cat', 'dog' beside 'train'"),
    Odd("two parts for validation", lambda place: parts(place, "val", "valid"), "are the same part; keep one of them"),
    Odd(
        "a part without classes", lambda place: (parts(place) / "val").mkdir(), "the part 'val' holds no class folders"
    ),
    Odd("a class that test lacks", lambda place: classes(parts(place) / "train", "x"), "test lacks the class 'x'"),
    Odd("a wrong ending", also(lambda place: put(place / "cat/x.gif", image(9, "JPEG"))), "5 images in 2 classes"),
    Odd("an empty image", also(lambda place: put(place / "cat/x.png")), "; cat/x.png: "),
    Odd("half an image", also(lambda place: put(place / "cat/x.png", image(9)[:60])), "; cat/x.png: "),
    Odd("text as an image", also(lambda place: put(place / "cat/x.jpg", b"text")), "; cat/x.jpg: "),
    Odd("a page as an image", also(lambda place: put(place / "cat/x.jpg", b"<html>")), "; cat/x.jpg: "),
    Odd("a folder called x.jpg", also(lambda place: put(place / "cat/x.jpg/y.png", image(9))), "5 images in 2 classes"),
    Odd("a pipe", also(lambda place: os.mkfifo(place / "cat/x.png")), "cat/x.png: is a pipe"),
    Odd("a socket", also(bound), "cat/s.png: is a socket"),
    Odd("a device", also(lambda place: (place / "cat/x.png").symlink_to("/dev/zero")), "x.png: is a device"),
    Odd("a relative folder", relative, "is relative, which queued and --temp runs would not find; give an absolute"),
    Odd("a home", lambda place: "~/photos", "is relative, which queued and --temp runs would not find; give an absol"),
    Odd("a place with a colon", lambda place: str(whole(place / "C:")), "4 images in 2 classes"),
    Odd("a place with quotes and blanks", lambda place: str(whole(place / "my 'own'")), "4 images in 2 classes"),
    Odd("a slash at the end", elsewhere(lambda place: f"{place}/"), "4 images in 2 classes"),
    Odd("dots in the place", elsewhere(lambda place: f"{place}/../{place.name}"), "4 images in 2 classes"),
    Odd("an address", lambda place: "https://example.org/photos", "is relative, which queued and --temp runs would"),
    Odd("an address of a file", lambda place: f"file://{place}", "is relative, which queued and --temp runs would not"),
    Odd("a place of Windows", lambda place: "C:\\photos", "is relative, which queued and --temp runs would not find"),
    Odd("a place with a line break", lambda place: f"{place}\n", "which cannot be seen; rename"),
    Odd("a place with a template", lambda place: f"{place}/${{lr}}", "DVC would put a value in place of its '${'"),
    Odd("no place", lambda place: "", "folder: "),
)
MANY_CLASSES = (
    Odd("many classes without images", lambda place: [(place / f"{n}").mkdir() for n in range(MANY)], "has no image"),
    Odd("many wrong classes", lambda place: [(place / f"{n}\n").mkdir() for n in range(MANY)], "has control charact"),
)
UNREADABLE = (
    Odd("an unreadable folder", lambda place: whole(place).chmod(0o300), "Permission denied; make it readable"),
    Odd("an unreadable class", also(lambda place: (place / "cat").chmod(0)), "Permission denied; make it readable"),
    Odd(
        "an unreadable image",
        also(lambda place: put(place / "cat/x.png", image(9)).chmod(0)),
        "cat/x.png: cannot be read: Permission denied; make it readable",
    ),
)


def parts(place: Path, *more: str) -> Path:
    for number, part in enumerate(("train", "test", *more)):
        for label in ("cat", "dog"):
            put(place / part / label / "1.png", image(1000 * number + len(label) + ord(label[0])))
    return place


def read(folder: str) -> str:
    """Return what is said of a folder that is taken."""
    values = tiny.values(data="folder", folder=folder)
    report = doctor.examined(config.resolve(config.check(values)))
    said = f"{report['images']} images in {len(report['classes'])} classes"
    files = [file for finding in report["findings"] for file in finding["files"]]
    return f"{said}; {files[0]}" if files else said


def line_of(folder: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the line of a folder that is taken, or with which it is refused."""
    taken = []
    with contextlib.suppress(pytest.fail.Exception):
        return refusal(lambda: taken.append(read(folder)), capsys)
    note(taken[0])
    return taken[0]


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=case.name) for case in CASES),
        *(pytest.param(case, id=case.name, marks=pytest.mark.slow) for case in MANY_CLASSES),
    ],
)
def test_an_odd_folder_is_refused_or_taken_in_one_line(
    case: Odd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place := tmp_path / "own").mkdir()
    given = case.make(place)
    assert case.line in line_of(given if isinstance(given, str) else str(place), capsys)


@pytest.mark.parametrize("case", UNREADABLE, ids=[case.name for case in UNREADABLE])
def test_what_may_not_be_read_is_named(case: Odd, public: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(str(whole(public / "first")))
    (place := public / "own").mkdir()
    case.make(place)
    with without_rights():
        line = line_of(str(place), capsys)
    assert case.line in line
    assert str(place) in line or "cat/x.png" in line


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for place in (Path(folder) / "own", Path(folder) / "own/cat"):
            place.chmod(0o755)


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Be a user whom permissions hold, which root is not."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
