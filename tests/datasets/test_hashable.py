"""What DVC cannot hash of the user's folder, told before it stops or hangs there."""

import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner
from test_odd_folders import put, whole, without_rights

from pipeline import config
from pipeline.commands import doctor
from pipeline.core.errors import InputError
from pipeline.datasets.collect import hashable
from pipeline.preview import refusals
from pipeline.running import own_files

HERE = Path(__file__).parents[2]
DELETE = "delete it or move it out"


@pytest.fixture
def public() -> Iterator[Path]:
    """Two classes in a folder that every user may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield whole(Path(folder) / "own")
        for place in (Path(folder) / "own").rglob("*"):
            if place.is_dir():
                place.chmod(0o755)


def bind(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(place))


MADE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a link to nothing": ("cat/x.png", lambda file: file.symlink_to("nowhere"), "is a link to nothing"),
    "a link to itself": ("cat/x.png", lambda file: file.symlink_to("x.png"), "is a link that leads back to itself"),
    "a pipe": ("cat/x.png", os.mkfifo, "is a pipe"),
    "a link to a device": ("cat/x.png", lambda file: file.symlink_to("/dev/zero"), "is a device"),
    "a socket": ("cat/s", bind, "is a socket"),
    "beside the classes": (".#lock", lambda file: file.symlink_to("me@here.1:2"), "is a link to nothing"),
    "in a hidden folder": ("cat/.cache/x", lambda file: os.mkfifo(put(file.parent / "y").with_name("x")), "is a pipe"),
}


@pytest.mark.parametrize("case", MADE)
def test_a_file_that_dvc_cannot_hash_is_refused_by_validate_by_the_doctor_and_by_a_study(
    case: str, public: Path
) -> None:
    name, make, reason = MADE[case]
    make(public / name)
    resolved = config.resolve(config.check(tiny.values(data="folder", folder=str(public))))
    words = f"{re.escape(str(public / name))}: {reason}.*, and DVC reads every file of {public}: {DELETE}"
    with pytest.raises(InputError, match=words):
        refusals.check_places(resolved)
    with pytest.raises(InputError, match=words):
        own_files.digest(HERE, public)
    finding = doctor.examined(resolved)["findings"][0]
    assert finding["what"] == "files that DVC cannot read"
    assert finding["stops"]
    assert finding["files"][0].startswith(f"{public / name}: {reason}")


def test_the_doctor_ends_with_one_and_says_it_is_excluded_nowhere(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.search_once(monkeypatch)
    (public / "cat/x.png").symlink_to("nowhere")
    put(public / "cat/y.png", b"text")
    done = CliRunner().invoke(doctor.command, ["-S", "data=folder", "-S", f"folder='{public}'"])
    assert done.exit_code == 1
    assert "a run stops at this: " in done.stdout
    assert done.stdout.count("x.png") == 1
    assert "photographs that cannot be used (1)" in done.stdout


def test_a_folder_that_no_set_reads_is_refused_too(public: Path) -> None:
    os.mkfifo(public / "cat/x.png")
    with pytest.raises(InputError, match=r"x\.png: is a pipe"):
        refusals.check_places(config.resolve(config.check(tiny.values(data="synthetic", folder=str(public)))))


def test_an_archive_of_other_files_is_refused(public: Path) -> None:
    (public / "cat/x.png").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"x\.png: is a link to nothing"):
        refusals.check_places(config.resolve(config.check(tiny.values(archive=str(public)))))


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("cat/0.png", 0, "cat/0.png: cannot be read: Permission denied"),
        ("cat", 0, "cat: cannot be read: Permission denied"),
        ("cat", 0o300, "cat: cannot be read: Permission denied"),
        ("cat", 0o444, "cat: cannot be entered: Permission denied"),
    ],
)
def test_what_may_not_be_read_has_the_way_out(name: str, mode: int, reason: str, public: Path) -> None:
    (public / name).chmod(mode)
    with (
        without_rights(),
        pytest.raises(InputError, match=f"{reason}.*make it readable.*chmod -R u.rX .*or move it out"),
    ):
        hashable.check(public)


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("cat", 0, "cat: cannot be read: Permission denied"),
        ("cat", 0o444, "cat: cannot be entered: Permission denied"),
        (".", 0o300, "own: cannot be read: Permission denied"),
    ],
)
def test_the_doctor_has_a_folder_that_may_not_be_read_among_its_findings(
    name: str, mode: int, reason: str, public: Path
) -> None:
    resolved = config.resolve(config.check(tiny.values(data="folder", folder=str(public))))
    # Once, for what torch opens as it is loaded.
    doctor.examined(resolved)
    (public / "dog/x.png").symlink_to("nowhere")
    (public / name).chmod(mode)
    with without_rights():
        report = doctor.examined(resolved)
    [finding] = report["findings"]
    assert (finding["what"], finding["stops"]) == ("files that DVC cannot read", True)
    assert any(re.search(f"{reason}; make it readable .*chmod -R u.rX", file) for file in finding["files"])
    assert finding["count"] == (1 if name == "." else 2)
    assert "  note: the photographs were not looked at, as a folder of them cannot be read" in doctor.as_text(report)


def test_a_folder_that_may_not_be_read_and_is_passed_over_is_no_matter_to_dvc(public: Path) -> None:
    (public / "lost+found").mkdir(mode=0)
    with without_rights():
        hashable.check(public)


def test_links_to_files_and_folders_are_taken(public: Path) -> None:
    (public / "cat/again").symlink_to(public / "dog")
    (public / "cat/x.png").symlink_to(public / "dog/0.png")
    hashable.check(public)
    hashable.check(public / "cat/x.png")
    hashable.check(public / "none")


def test_the_first_is_named_and_the_others_counted(public: Path) -> None:
    for name in "abc":
        (public / name).symlink_to("nowhere")
    with pytest.raises(InputError, match=r"own/a: is a link to nothing.*\(and 2 more such\)"):
        hashable.check(public)
