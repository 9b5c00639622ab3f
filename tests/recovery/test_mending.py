"""What kills leave, made here by hand as DVC leaves it; tests/end_to_end/test_kills.py kills DVC itself."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import tiny
from click.testing import CliRunner
from filelock import FileLock
from scmrepo.git import Git

from pipeline.commands import doctor, file_systems
from pipeline.core.errors import InputError
from pipeline.recovery import cut_experiments, leftovers, mending

# Above what any system gives.
DEAD = 2**22 + 1
PARAMS, EDITED, RUN = "freeze: auto\nlr: auto\n", "# mine\nfreeze: auto\nlr: 0.1\n", "# mine\nfreeze: 3c\nlr: 0.1\n"


def git(*words: str) -> str:
    return subprocess.run(("git", *words), check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone whose user has edited params.yaml and another file."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch", "main")
    git("config", "user.name", "A")
    git("config", "user.email", "a@example.org")
    Path(".dvc/tmp/exps").mkdir(parents=True)
    for name, text in (("params.yaml", PARAMS), ("code.py", "1\n"), (".gitignore", "/.dvc/tmp\n")):
        Path(name).write_text(text, encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "--message", "state")
    Path("params.yaml").write_text(EDITED, encoding="utf-8")
    Path("code.py").write_text("2\n", encoding="utf-8")
    return tmp_path


def write_locks(place: Path, *, read: dict[str, int] | None = None, write: dict[str, int] | None = None) -> None:
    content = {
        "read": {key: [{"pid": pid, "cmd": "dvc"}] for key, pid in (read or {}).items()},
        "write": {key: {"pid": pid, "cmd": "dvc"} for key, pid in (write or {}).items()},
    }
    place.write_text(json.dumps(content), encoding="utf-8")


def as_a_killed_run_leaves_it(params: str = RUN) -> None:
    with Git(".") as scm:
        assert scm.stash.push()
        scm.stash.pop()
    Path("params.yaml").write_text(RUN, encoding="utf-8")
    merge = git("stash", "create", "dvc-exp:a:b:c")
    Path("params.yaml").write_text(params, encoding="utf-8")
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD"))
    for name, revision in (("EXEC_MERGE", merge), ("EXEC_BASELINE", "HEAD"), ("EXEC_HEAD", "HEAD")):
        git("update-ref", f"refs/exps/exec/{name}", revision)


def as_a_killed_set_up_leaves_it() -> None:
    write_locks(leftovers.RWLOCKS[1], write=dict.fromkeys(leftovers.SETS_UP, DEAD))
    git("stash", "push", "--quiet")
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD"))
    Path("params.yaml").write_bytes(b"")


def state() -> tuple[str, str, str, str]:
    return (
        git("symbolic-ref", "HEAD"),
        Path("params.yaml").read_text(encoding="utf-8"),
        Path("code.py").read_text(encoding="utf-8"),
        git("stash", "list"),
    )


def mended() -> list[str]:
    lines: list[str] = []
    mending.mend(Path.cwd(), lines.append)
    assert mending.look(Path.cwd()) == ([], [])
    return lines


def test_where_nothing_was_killed_there_is_nothing_to_say() -> None:
    assert mended() == ["no kill has left anything"]
    assert state() == ("refs/heads/main", EDITED, "2\n", "")


def test_an_experiment_that_was_applied_is_no_killed_one() -> None:
    for name in ("EXEC_HEAD", "EXEC_APPLY"):
        git("update-ref", f"refs/exps/exec/{name}", "HEAD")
    assert mended() == ["no kill has left anything"]
    assert state() == ("refs/heads/main", EDITED, "2\n", "")


@pytest.mark.parametrize("place", leftovers.RWLOCKS)
def test_a_file_of_locks_without_content_is_cleared_unasked(place: Path) -> None:
    place.touch()
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert lines == [f"{place}: unreadable, which stops every DVC command: cleared"]
    assert json.loads(place.read_text(encoding="utf-8")) == {"read": {}, "write": {}}


def test_locks_of_dead_processes_are_cleared_and_those_of_living_ones_stay(
    another_dvc: "subprocess.Popen[bytes]",
) -> None:
    place, living = leftovers.RWLOCKS[0], another_dvc.pid
    write_locks(place, read={"a": DEAD, "b": living}, write={"c": DEAD, "d": living})
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert lines == [f"{place}: locks of process {DEAD}, no longer there: cleared"]
    content = json.loads(place.read_text(encoding="utf-8"))
    assert (list(content["read"]), list(content["write"])) == (["b"], ["d"])


def test_a_process_that_has_the_number_of_a_dead_one_holds_no_lock(another_dvc: "subprocess.Popen[bytes]") -> None:
    """One began after the file was written, the other is at work elsewhere and no DVC."""
    place = leftovers.RWLOCKS[0]
    write_locks(place, read={"a": another_dvc.pid}, write={"b": os.getppid()})
    os.utime(place, (1e9, 1e9))
    assert leftovers.holders(Path.cwd()) == set()
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert json.loads(place.read_text(encoding="utf-8")) == {"read": {}, "write": {}}


@pytest.mark.parametrize(
    "content", ["[]", '{"read": 1}', '{"write": {"a": {"pid": "x"}}}', '{"write": {"a": 1}}', "\x00"]
)
def test_a_file_of_locks_with_any_content_is_read(content: str) -> None:
    leftovers.RWLOCKS[0].write_text(content, encoding="utf-8")
    assert mended() == [f"{leftovers.RWLOCKS[0]}: unreadable, which stops every DVC command: cleared"]


def test_a_guard_that_another_process_holds_stops_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0.1)
    leftovers.RWLOCKS[0].touch()
    lines: list[str] = []
    with FileLock(".dvc/tmp/rwlock.lock"):
        mending.prepare(Path.cwd(), lines.append)
    assert ": left as it is, as another process holds " in lines[0]
    assert leftovers.RWLOCKS[0].read_bytes() == b""


def test_after_a_killed_run_the_users_settings_and_branch_are_back() -> None:
    as_a_killed_run_leaves_it()
    (found,) = mending.look(Path.cwd()).found
    assert found.what == (
        "`dvc exp run` was killed, which leaves freeze: 3c (was auto) in params.yaml; HEAD is detached from main"
    )
    (line,) = mended()
    assert state() == ("refs/heads/main", EDITED, "2\n", "")
    kept = Path(line.rpartition(" is in ")[2]) / "params.yaml"
    assert kept.read_text(encoding="utf-8") == RUN
    assert git("for-each-ref", "refs/exps") == ""


def test_the_way_back_by_hand_gives_the_same() -> None:
    as_a_killed_run_leaves_it()
    (found,) = mending.look(Path.cwd()).found
    subprocess.run(found.way_back, shell=True, check=True, capture_output=True)
    assert state() == ("refs/heads/main", EDITED, "2\n", "")


def test_changes_of_an_earlier_run_that_the_user_took_back_stay_taken_back() -> None:
    Path("code.py").write_text("1\n", encoding="utf-8")
    as_a_killed_run_leaves_it()
    git("update-ref", "-d", "refs/exps/exec/EXEC_MERGE")
    git("reset", "--quiet", "--hard")
    Path("params.yaml").write_text(PARAMS.replace("freeze: auto", "freeze: 3c"), encoding="utf-8")
    later = ("env", f"GIT_COMMITTER_DATE={time.time() + 5:.0f} +0000")
    words = (*later, "git", "stash", "create", "dvc-exp:a:b:d")
    merge = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    git("update-ref", "refs/exps/exec/EXEC_MERGE", merge)
    mended()
    assert state() == ("refs/heads/main", PARAMS, "1\n", "")


def test_settings_of_a_run_that_was_killed_before_the_last_one_are_named() -> None:
    """The second run began from what the first had left, and took it for the user's."""
    Path("code.py").write_text("1\n", encoding="utf-8")
    of_the_first = PARAMS.replace("freeze: auto", "freeze: 3c")
    Path("params.yaml").write_text(of_the_first, encoding="utf-8")
    as_a_killed_run_leaves_it(of_the_first)
    (line,) = mended()
    assert line.endswith(
        ": its references are removed; left as it is: freeze: 3c (was auto) in params.yaml, which "
        "`git restore --staged --worktree params.yaml` takes back"
    )
    assert state() == ("refs/heads/main", of_the_first, "1\n", "")


def test_settings_that_the_user_changed_after_the_kill_stay() -> None:
    as_a_killed_run_leaves_it(params="freeze: 2\nlr: 0.1\n")
    mended()
    assert state() == ("refs/heads/main", "freeze: 2\nlr: 0.1\n", "2\n", "")


def test_files_that_the_kill_left_as_committed_get_their_changes_back() -> None:
    as_a_killed_run_leaves_it()
    git("reset", "--quiet", "--hard")
    mended()
    assert state() == ("refs/heads/main", EDITED, "2\n", "")


def test_after_a_killed_set_up_the_users_changes_come_back_from_gits_stash() -> None:
    as_a_killed_set_up_leaves_it()
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert lines == [
        "`dvc exp run` was killed while it set an experiment up: your changes are in git's stash, "
        "params.yaml is not as you left it; `orbweaver doctor --mend` goes back"
    ]
    assert Path("params.yaml").read_bytes() == b""
    mended()
    assert state() == ("refs/heads/main", EDITED, "2\n", "")


def test_a_stash_of_the_users_own_is_left_where_it_is() -> None:
    git("stash", "push", "--quiet", "--message", "mine")
    write_locks(leftovers.RWLOCKS[1], write=dict.fromkeys(leftovers.SETS_UP, DEAD))
    os.utime(leftovers.RWLOCKS[1], (time.time() + 60, time.time() + 60))
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD"))
    Path("params.yaml").write_bytes(b"")
    mended()
    assert state() == ("refs/heads/main", PARAMS, "1\n", "stash@{0}: On main: mine")


def test_settings_without_content_come_back_as_committed() -> None:
    Path("params.yaml").write_bytes(b"")
    assert mended()[0].startswith("params.yaml: has no content: as committed; what was there is in .dvc/tmp/mended/")
    assert state() == ("refs/heads/main", PARAMS, "2\n", "")


def test_a_large_dvc_lock_is_none_that_a_kill_has_left() -> None:
    """One of hundreds of repeats has more values than settings may have."""
    content = "schema: '2.0'\nstages:\n" + "".join(f"  train@{n}:\n    cmd: x\n" for n in range(8_000))
    Path("dvc.lock").write_text(content, encoding="utf-8")
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "lock")
    Path("dvc.lock").write_text(f"{content}  report:\n    cmd: x\n", encoding="utf-8")
    assert mending.look(Path.cwd()).found == []


@pytest.mark.parametrize("content", ["", "sche", "schema: '2.0'\nstages:\n  train@1:\n"])
def test_a_cut_dvc_lock_that_was_never_committed_makes_room_for_a_new_one_unasked(content: str) -> None:
    Path("dvc.lock").write_text(content, encoding="utf-8")
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    (line,) = lines
    assert line.startswith("dvc.lock: ")
    assert ": removed; DVC writes it again; what was there is in .dvc/tmp/mended/" in line
    assert not Path("dvc.lock").exists()


def test_a_cut_dvc_lock_comes_back_as_committed() -> None:
    whole = "schema: '2.0'\nstages:\n  report:\n    cmd: x\n"
    Path("dvc.lock").write_text(whole, encoding="utf-8")
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "lock")
    Path("dvc.lock").write_text("", encoding="utf-8")
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert ": as committed; what was there is in .dvc/tmp/mended/" in lines[0]
    assert Path("dvc.lock").read_text(encoding="utf-8") == whole


def test_a_dvc_lock_with_conflict_marks_is_left_to_the_user() -> None:
    Path("dvc.lock").write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "lock")
    merging = "<<<<<<< HEAD\nschema: '2.0'\n=======\nstages: {}\n>>>>>>> other\n"
    Path("dvc.lock").write_text(merging, encoding="utf-8")
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert "`orbweaver doctor --mend` goes back" in lines[0]
    assert Path("dvc.lock").read_text(encoding="utf-8") == merging


def test_settings_with_conflict_marks_are_told_with_the_way_back() -> None:
    Path("params.yaml").write_text("<<<<<<< HEAD\nfreeze: 2\n=======\nfreeze: 3\n>>>>>>> other\n", encoding="utf-8")
    (found,) = mending.look(Path.cwd()).found
    assert found.what.startswith("params.yaml: ")
    assert found.way_back == "git restore params.yaml"


def test_a_lock_of_gits_is_removed_when_it_is_old_and_nobody_works() -> None:
    lock = Path(".git/index.lock")
    lock.touch()
    assert mending.look(Path.cwd()).found == []
    os.utime(lock, (time.time() - 60, time.time() - 60))
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert lines == [".git/index.lock: a lock of a git that is no longer there: removed"]
    assert not lock.exists()


def test_a_lock_of_a_moment_ago_is_outlasted_where_mending_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "GIT_LOCK_SECONDS", 0.3)
    Path(".git/index.lock").touch()
    assert mended() == [".git/index.lock: a lock of a git that is no longer there: removed"]
    assert mended() == ["no kill has left anything"]


def test_copies_and_half_written_outputs_are_removed_and_what_was_moved_aside_is_put_back() -> None:
    for place in (".dvc/tmp/exps/standalone/tmpa", "data/.packed.partial", "models/.trained.old.partial"):
        (Path(place) / "x").mkdir(parents=True)
    assert [line.rpartition(": ")[2] for line in mended()] == ["removed", "removed", "put back"]
    left = [
        path.as_posix()
        for path in (Path("data"), Path("models"), leftovers.TEMPORARY / "exps")
        for path in path.rglob("*")
    ]
    assert left == ["models/trained", "models/trained/x", ".dvc/tmp/exps/standalone"]


def test_what_a_killed_export_left_is_told_as_that_and_removed() -> None:
    Path("models/.bundle-onnx.partial").mkdir(parents=True)
    what = "models/.bundle-onnx.partial: half written by a stage or command that was killed"
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert lines == [f"{what}; `orbweaver doctor --mend` removes it"]
    assert next(iter(doctor.project_lines(Path.cwd()))).startswith(
        f"project: {what}; `orbweaver doctor --mend` removes it,"
    )
    assert mended() == [f"{what}: removed"]


def test_make_repro_refuses_what_dvc_cannot_hash_also_where_no_setting_changed(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    mending.check_own_files()
    Path("params.yaml").write_text(json.dumps(tiny.values(data="folder", folder=str(folder))), encoding="utf-8")
    mending.check_own_files()
    os.mkfifo(folder / "x.png")
    with pytest.raises(InputError, match=r"own/x\.png: is a pipe, and DVC reads every file of "):
        mending.check_own_files()


def test_an_export_that_is_at_work_keeps_what_it_writes(project: Path) -> None:
    Path("models/.bundle-onnx.partial").mkdir(parents=True)
    words = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()", "orbweaver", "export"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert mended() == ["no kill has left anything"]
        child.kill()


def test_what_a_killed_bank_left_is_removed_unasked_and_what_a_living_one_writes_is_kept() -> None:
    bank = leftovers.TEMPORARY / "bank"
    for name in ("copies-1", "copies-2"):
        (bank / f".{name}.partial").mkdir(parents=True)
        (bank / f"{name}.lock").touch()
        (bank / f"{name}.lock.held").write_text('{"pid": 1}', encoding="utf-8")
    (leftovers.TEMPORARY / "stages").mkdir()
    (leftovers.TEMPORARY / "stages/train.lock.held").write_text('{"pid": 1}', encoding="utf-8")
    lines: list[str] = []
    with FileLock(bank / "copies-2.lock"):
        mending.prepare(Path.cwd(), lines.append)
    assert lines == [
        f"{bank}/.copies-1.partial: half written by a command that was killed: removed",
        f"{bank}/copies-1.lock.held: names a process that was killed as a lock's holder: removed",
    ]
    assert sorted(file.name for file in bank.iterdir() if not file.name.endswith(".lock")) == [
        ".copies-2.partial",
        "copies-2.lock.held",
    ]


@pytest.fixture
def another_dvc(project: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is taken for a DVC at work."""
    words = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()", "dvc", "repro"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child


def test_nothing_is_mended_while_dvc_is_at_work(another_dvc: "subprocess.Popen[bytes]") -> None:
    as_a_killed_run_leaves_it()
    assert mending.look(Path.cwd()).found == []
    with pytest.raises(InputError, match=rf"^process {another_dvc.pid} \(.*\) since .* is at work here; wait"):
        mending.mend(Path.cwd(), pytest.fail)
    assert Path("params.yaml").read_text(encoding="utf-8") == RUN


def test_make_repro_waits_for_the_dvc_that_is_at_work(another_dvc: "subprocess.Popen[bytes]") -> None:
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        another_dvc.kill()
        another_dvc.wait()

    mending.wait_for_dvc(Path.cwd(), say)
    assert [line.partition(" (")[0] for line in lines] == [f"process {another_dvc.pid}"]


def test_doctor_mends_when_it_is_asked_to() -> None:
    as_a_killed_set_up_leaves_it()
    done = CliRunner().invoke(doctor.command, ["--mend"])
    assert done.exit_code == 0
    assert state() == ("refs/heads/main", EDITED, "2\n", "")


@pytest.mark.parametrize("words", [["-S", "lr=0.1"], ["--json"], ["--name-groups"]])
def test_doctor_refuses_what_mending_does_not_look_at(words: list[str]) -> None:
    as_a_killed_set_up_leaves_it()
    left = git("stash", "list")
    with pytest.raises(InputError, match=rf"^--mend: checks no data; leave out {words[0]}$"):
        doctor.command(["--mend", *words], standalone_mode=False)
    assert git("stash", "list") == left != ""


class Mount:
    def __init__(self, mountpoint: Path, fstype: str) -> None:
        self.mountpoint, self.fstype = str(mountpoint), fstype


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs", "9p", "gpfs", "smbfs"])
def test_a_shared_file_system_is_told_with_what_to_set(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Mount(Path("/"), "ext4"), Mount(tmp_path, kind)])
    lines = list(doctor.project_lines(tmp_path))
    assert f"on {kind} ({tmp_path}): run `dvc config core.hardlink_lock true`" in lines[0]
    assert f"mlflow.db is on {kind} ({tmp_path}), where SQLite's locks may fail" in lines[1]


def test_a_place_where_dvcs_queue_fails_is_told(tmp_path: Path) -> None:
    place = tmp_path / "Zoë"
    place.mkdir()
    assert not list(doctor.project_lines(tmp_path))
    (line,) = doctor.project_lines(place)
    assert "has letters beyond ASCII, where DVC cannot set up `dvc exp run --queue` or `--temp`" in line


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "apfs", "tmpfs", "fuseblk"])
def test_a_file_system_of_ones_own_is_not(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Mount(Path("/"), "nfs"), Mount(tmp_path, kind)])
    assert list(file_systems.shared(tmp_path, tmp_path / "mlflow.db")) == []


def test_both_ends_of_a_long_value_are_in_the_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(f"folder: /a/{'x' * 40}/cats\n", encoding="utf-8")
    line = cut_experiments._differing(tmp_path, b"folder: data/own\n")
    assert line == f"folder: /a/{'x' * 10}...{'x' * 8}/cats (48 characters) (was data/own) in params.yaml"
