"""What a study of many cells costs: photographs are looked at once, and git is asked by one process."""

import json
import subprocess
from pathlib import Path

import many_cells_table
import pytest
import yaml
from many_cells import put

from pipeline.experiments import dvc_outputs, git_objects
from pipeline.experiments.revisions import Revision
from pipeline.running import cells, own_files
from pipeline.studies import definition

DEFINITION = {
    "stages": {
        "train": {"matrix": {"repeat": "${repeats}"}, "cmd": "true", "outs": ["metrics/train/${item.repeat}"]},
        "report": {"cmd": "true", "outs": [{"metrics/page.html": {"persist": True}}, "metrics/${other}"]},
    }
}


def commit(message: str) -> str:
    for words in (("add", "--all"), ("-c", "user.name=A", "-c", "user.email=a@x.org", "commit", "-qm", message)):
        subprocess.run(("git", *words), check=True)
    return subprocess.run(("git", "rev-parse", "HEAD"), check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A commit with two repeats in dvc.lock, of which params.yaml has the first."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(("git", "init", "--quiet"), check=True)
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    Path(".dvc/.gitignore").write_text("/cache\n/tmp\n", encoding="utf-8")
    listed = [{"md5": put(b"{}"), "relpath": "record.json"}, {"md5": put(b"deep"), "relpath": "a/b.txt"}]
    listed.append({"md5": "0" * 32, "relpath": "gone.txt"})
    folder = put(json.dumps(listed).encode(), ".dir")
    outs = {f"train@{one}": [(f"metrics/train/{one}", folder)] for one in (1, 2)}
    outs["report"] = [("metrics/page.html", put(b"page"))]
    locked = {
        name: {"cmd": "true", "outs": [{"path": path, "hash": "md5", "md5": md5} for path, md5 in each]}
        for name, each in outs.items()
    }
    for file, content in (
        ("dvc.yaml", DEFINITION),
        ("params.yaml", {"repeats": [1], "other": "x"}),
        ("dvc.lock", {"schema": "2.0", "stages": locked}),
    ):
        Path(file).write_text(yaml.safe_dump(content), encoding="utf-8")
    Path("link.yaml").symlink_to("params.yaml")
    Path("outside.yaml").symlink_to("../elsewhere")
    return commit("Begin")


FILES = ("params.yaml", "link.yaml", "metrics/train/1/record.json", "metrics/train/1/a/b.txt", "metrics/page.html")
ABSENT = ("none", "metrics/train/1/none", "metrics/train/1/gone.txt", "metrics/train/2/record.json", "metrics/x")


def asked_of_dvc(files: Revision) -> bool:
    return "_files" in vars(files)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_at_hand_is_read_without_dvc_and_as_dvc_reads_it(revision: str, name: str) -> None:
    files = Revision(Path.cwd(), revision)
    content = files.read(Path(name))
    assert not asked_of_dvc(files)
    assert content == files._files.read_bytes(name)


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_at_hand_is_absent_as_dvc_has_it(revision: str, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="not in DVC's cache"):
        Revision(Path.cwd(), revision).read(Path(name))


def test_a_folder_is_listed_as_dvc_lists_it(revision: str) -> None:
    files = Revision(Path.cwd(), revision)
    listed = files.names(Path("metrics/train/1"))
    assert not asked_of_dvc(files)
    assert [one.as_posix() for one in listed] == sorted(files._files.find("metrics/train/1"))


def test_settings_of_dvc_that_say_where_the_cache_is_are_followed(revision: str) -> None:
    Path(".dvc/cache").rename("elsewhere")
    Path(".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n", encoding="utf-8")
    files = Revision(Path.cwd(), revision)
    assert files.read(Path("metrics/page.html")) == b"page"
    assert not asked_of_dvc(files)


def test_a_lock_that_is_no_lock_has_no_outputs() -> None:
    whole = yaml.safe_dump(DEFINITION).encode(), b"repeats: [1]"
    for lock in (b"", b"stages: 3", b"stages: {train@1: {outs: 2}}", b"\xff", b"a: [", b"stages:\n<<<<<<< x"):
        assert dvc_outputs.hashes(*whole, lock) == {}


def test_git_processes_do_not_grow_with_the_revisions(revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    others = []
    for number in range(5):
        Path("params.yaml").write_text(f"repeats: [1]\nother: y{number}\n", encoding="utf-8")
        others.append(commit(str(number)))
    git_objects.close()
    started = []
    run = subprocess.Popen.__init__

    def count(self, words, *args, **named):
        started.append(words)
        run(self, words, *args, **named)

    monkeypatch.setattr(subprocess.Popen, "__init__", count)
    contents = [Revision(Path.cwd(), one).read(Path("params.yaml")) for one in (revision, *others)]
    assert len(set(contents)) == len(contents)
    for one in others:
        assert Revision(Path.cwd(), one).read(Path("metrics/train/1/record.json")) == b"{}"
    assert [words[:2] for words in started] == [("git", "cat-file")]


def test_git_that_is_gone_is_as_a_file_that_is_absent(revision: str) -> None:
    opened = git_objects.objects(Path.cwd())
    assert opened
    opened._process.kill()
    opened._process.wait()
    assert opened.read(revision, Path("params.yaml")) is None
    assert opened.read(revision, Path("a\nb")) is None


def test_photographs_are_looked_at_once_in_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(definition.__file__).parents[2])
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_bytes(b"1")
    study = tmp_path / "mine.yaml"
    named = "".join(f"  c{number}: {{set: {{lr: 0.00{number}}}}}\n" for number in range(1, 5))
    study.write_text(f"title: T\nset: {{data: folder, folder: '{tmp_path}/a'}}\ncells:\n{named}", encoding="utf-8")
    looked, digest = [], own_files.digest
    monkeypatch.setattr(own_files, "digest", lambda root, place: looked.append(place) or digest(root, place))
    planned = cells.plan(definition.find(str(study)))
    assert (len(planned), looked) == (4, [tmp_path / "a"])


def test_the_docs_have_the_table_of_what_was_measured() -> None:
    result = json.loads(many_cells_table.RESULT.read_text(encoding="utf-8"))
    docs = many_cells_table.RESULT.parents[2] / "docs/studies.md"
    assert many_cells_table.table(result) in docs.read_text(encoding="utf-8")
    first, *_ = result["measured"]
    cut = many_cells_table.table({"measured": [first | {"cut": True, "cpu": 240.0}]})
    assert "| over 240.0 |" in cut
    assert "| not measured |" in cut
