import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.core.errors import InputError, end_with, one_line_errors
from pipeline.core.paths import written_whole


def test_what_the_user_gave_wrong_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, one_line_errors("train"):
        raise InputError("folder:\n 'x' is empty")
    assert left.value.code == 1
    assert capsys.readouterr().err == "train: error: folder: 'x' is empty\n"


def test_what_the_system_refuses_names_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**36))
    with pytest.raises(SystemExit) as left, one_line_errors("preprocess"):
        Path("/dev/full").write_text("x" * 100_000, encoding="utf-8")
    assert left.value.code == 1
    # It is none of the disks that are known.
    told = capsys.readouterr().err
    assert told == "preprocess: error: No space left on device: make room, and the same command goes on\n"
    with pytest.raises(SystemExit), one_line_errors("preprocess"):
        Path("no/such/file").read_bytes()
    assert capsys.readouterr().err.startswith("preprocess: error: no/such/file: No such file or directory")


def line(error: OSError, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit), one_line_errors("it"):
        raise error
    return capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_of_a_copy_is_the_copys(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(number, "full", "photographs/1.jpg", None, str(tmp_path / "sorted/cat/1.jpg"))
    assert line(error, capsys).startswith(f"it: error: {tmp_path}/sorted/cat/1.jpg: full: ")


def test_a_copy_that_is_written_whole_is_named_as_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "1.jpg"
    with pytest.raises(SystemExit), one_line_errors("it"), written_whole(target) as place:
        raise OSError(errno.ENOSPC, "full", "photographs/1.jpg", None, str(place))
    assert capsys.readouterr().err.startswith(f"it: error: {target}: full: ")


def test_a_full_disk_of_temporary_files_is_named_with_its_room_and_how_to_have_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = {tmp_path / "small": 2**20, tmp_path / "work": 2**36}
    for place in free:
        place.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free[place]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "small"))
    monkeypatch.chdir(tmp_path / "work")
    room = "1.0 MiB are free there; make room, or set TMPDIR to a larger disk, and the same command goes on"
    assert line(OSError(errno.ENOSPC, "full"), capsys) == f"it: error: {tmp_path}/small: full: {room}\n"
    for name in ("tmpab12_cd3/x", "orbweaver-ab12_cd3/clone/x"):
        made = OSError(errno.ENOSPC, "full", f"{tmp_path}/small/{name}")
        assert line(made, capsys) == f"it: error: {tmp_path}/small/{name}: full: {room}\n"
    for name in ("x", "tmp/x", "orbweaver-mine/x"):
        users = OSError(errno.ENOSPC, "full", f"{tmp_path}/small/{name}")
        assert line(users, capsys).endswith("1.0 MiB are free there; make room, and the same command goes on\n")
    free |= {tmp_path / "small": 2**36, tmp_path / "work": 2**20}
    assert line(OSError(errno.ENOSPC, "full"), capsys).startswith(f"it: error: {tmp_path}/work: full: 1.0 MiB are fr")


@pytest.mark.parametrize("free", [2**36, 2**20])
def test_how_much_is_free_is_not_told_where_it_is_not_what_is_lacking(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    room = "" if free == 2**36 else "1.0 MiB are free there; "
    said = line(OSError(errno.EDQUOT, "over quota", "out"), capsys)
    assert said == f"it: error: out: over quota: {room}make room, and the same command goes on\n"
    said = line(OSError(errno.ENOSPC, "full"), capsys)
    assert said.startswith("it: error: full: make room" if not room else f"it: error: {tmp_path}: full: 1.0 MiB")


@pytest.mark.parametrize("length", [1, 100_000])
@pytest.mark.parametrize("buffered", ["", "-u"])
def test_a_full_disk_behind_standard_output_is_named_as_that(length: int, buffered: str) -> None:
    code = (
        "import sys\nfrom pipeline.core.errors import one_line_errors\n"
        f"with one_line_errors('it'):\n    print('1' * {length})\n    sys.stdout.flush()\n"
    )
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, *([buffered] if buffered else []), "-c", code],
            cwd=Path(__file__).parents[2],
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    line = (
        "it: error: standard output: No space left on device: make room where it goes, and run the same command again"
    )
    assert (done.stderr, done.returncode) == (f"{line}\n", 1)


def test_a_file_that_is_larger_than_the_shell_allows_has_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    said = line(OSError(errno.EFBIG, "File too large", "models/weights"), capsys)
    assert said.startswith("it: error: models/weights: File too large: ")
    assert "`ulimit -f unlimited`" in said


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GiB, max allowed: 18.1 GiB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
)
def test_a_gpu_whose_memory_does_not_reach_is_told_with_the_way_out(
    error: RuntimeError, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left, one_line_errors("train"):
        raise error
    assert left.value.code == 1
    assert capsys.readouterr().err.startswith("train: error: not enough memory on the GPU; `nvidia-smi` lists other")


@pytest.mark.parametrize("allocate", [lambda: torch.empty(2**50), lambda: np.empty(2**50)], ids=["torch", "numpy"])
def test_main_memory_that_does_not_reach_is_told_without_a_word_of_a_gpu(
    allocate: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left, one_line_errors("train"):
        allocate()
    assert left.value.code == 1
    line = capsys.readouterr().err
    assert line.startswith("train: error: not enough main memory; end other programs, or use a smaller batch: -S batch")
    assert line.count("\n") == 1
    assert "GPU" not in line


UNLOADED = "not enough main memory to load libtorch.so; end other programs"
UNMAPPED = "libtorch.so: failed to map segment from shared object"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ImportError(UNMAPPED), UNLOADED),
        (
            OSError(f"{UNMAPPED}: Cannot allocate memory"),
            "not enough main memory to load libtorch.so; end other programs",
        ),
        (OSError(12, "Cannot allocate memory"), "not enough main memory; end other programs"),
        (OSError(f"{UNMAPPED}: Operation not permitted"), f"{UNMAPPED}: Operation not permitted"),
    ],
)
@pytest.mark.parametrize("limit", ["", "limited"])
def test_a_library_that_there_is_no_memory_for_is_named_with_the_shells_limit(
    error: Exception, line: str, limit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    allowed = 2**31 if limit else resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, allowed))
    with pytest.raises(SystemExit) as left, one_line_errors("train"):
        raise error
    way_out = "; the shell's limit is 2,048 MiB (`ulimit -v`), and `ulimit -v unlimited` lifts it"
    told = f"{line}{way_out}" if limit and "not enough" in line else line
    assert (left.value.code, capsys.readouterr().err) == (1, f"train: error: {told}\n")


def test_a_stage_that_cannot_load_torch_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(f"raise ImportError({UNMAPPED!r})", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.stages.train"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"train: error: {UNLOADED}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("no such run"), "reproduce: error: no such run\n"),
        (FileNotFoundError(2, "No such file", "a"), "reproduce: error: a: No such file\n"),
        (KeyError("mistake"), "KeyError: 'mistake'\n"),
        (torch.OutOfMemoryError("CUDA"), None),
    ],
)
def test_where_1_is_an_answer_every_error_has_another_status(
    capsys: pytest.CaptureFixture[str], error: Exception, line: str | None
) -> None:
    end_with(2, error)
    with pytest.raises(SystemExit) as left, one_line_errors("reproduce"):
        raise error
    assert left.value.code == 2
    assert line is None or capsys.readouterr().err.endswith(line)


@pytest.mark.parametrize(("closed", "number"), [(">&-", "1"), ("2>&-", "2"), (">&- 2>&-", "1 2")])
def test_a_standard_stream_that_is_closed_is_dropped(closed: str, number: str) -> None:
    program = (
        "import os, sys\nfrom tqdm import tqdm\nfrom pipeline.core.errors import InputError, one_line_errors\n"
        "with one_line_errors('orbweaver'):\n"
        "    print('a result')\n    tqdm.write('a line', file=sys.stderr)\n    tqdm(total=1).update()\n"
        f"    assert all(os.path.samestat(os.fstat(int(n)), os.stat(os.devnull)) for n in '{number}'.split())\n"
        "    raise InputError('wrong')\n"
    )
    words = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ("" if "1" in number else "a result\n")
    assert done.stderr == "" if "2" in number else done.stderr.endswith("orbweaver: error: wrong\n")
    assert "Traceback" not in done.stderr


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors("train"):
        _ = 1 / 0
    with pytest.raises(RuntimeError, match="shapes"), one_line_errors("train"):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


@contextmanager
def at_work(before: str = "") -> Iterator[subprocess.Popen[str]]:
    """A program that has come to the middle of its work."""
    code = (
        f"import signal, time\nfrom pipeline.core.errors import one_line_errors\n{before}\n"
        "with one_line_errors('train'):\n    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_an_interruption_ends_with_130_and_one_line(sent: signal.Signals) -> None:
    with at_work() as child:
        started = time.monotonic()
        child.send_signal(sent)
        _, told = child.communicate(timeout=20)
    assert child.returncode == 130
    assert told == "train: interrupted; `dvc repro` goes on from the last finished stage\n"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("stage", ["bundle", "train"])
def test_an_interruption_while_a_stage_imports_torch_ends_with_130_and_one_line(stage: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.stages.{stage}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    # A bundle is made by a command, which says how it goes on.
    line = f"{stage}: interrupted{'' if stage == 'bundle' else '; `dvc repro` goes on from the last finished stage'}\n"
    assert (done.returncode, done.stderr) == (130, line)


def test_under_nohup_the_terminal_may_close() -> None:
    with at_work("signal.signal(signal.SIGHUP, signal.SIG_IGN)") as child:
        child.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        child.kill()


def test_a_file_is_there_at_every_moment_while_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    target = tmp_path / "file"
    target.write_text("old", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"), written_whole(target) as place:
        place.write_text("new", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_written_whole_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    for text in ("one", "two"):
        with written_whole(target) as place:
            place.write_text(text, encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "two"
    assert [path.name for path in target.parent.iterdir()] == ["b.txt"]


@pytest.mark.parametrize("below", ["", "weights"])
def test_an_error_of_the_disk_names_the_file_that_was_asked_for_and_not_where_it_is_until_it_is_whole(
    tmp_path: Path, below: str
) -> None:
    target = tmp_path / "folder" / "out"

    def write() -> None:
        with written_whole(target) as place:
            shutil.rmtree(target.parent)
            (place / below).write_text("1", encoding="utf-8")

    with pytest.raises(FileNotFoundError) as caught:
        write()
    assert caught.value.filename == str(target / below)


def test_so_does_one_that_cannot_be_moved_to_its_place(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(FileNotFoundError) as caught, written_whole(target):
        pass
    assert caught.value.filename == str(target)


def test_so_does_one_whose_predecessor_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    (target / "of before").mkdir(parents=True)

    def refuse(place: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(place / "of before"))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(PermissionError) as caught, written_whole(target) as place:
        place.mkdir()
    assert caught.value.filename == str(target / "of before")


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]


@pytest.mark.parametrize(("step", "left"), [(1, "old"), (2, ""), (3, "new")])
def test_who_is_killed_while_a_folder_takes_the_place_of_another_leaves_the_old_or_the_new_one(
    tmp_path: Path, step: int, left: str
) -> None:
    """The steps: the old one aside, the new one in, the old one away."""
    code = (
        "import os, pathlib, shutil, sys\nfrom pipeline.core import paths\n"
        "target, steps = pathlib.Path(sys.argv[1]), []\n"
        "def counted(function):\n    def call(*words, **named):\n        steps.append(1)\n"
        f"        return function(*words, **named) if len(steps) < {step} else os._exit(9)\n    return call\n"
        "with paths.written_whole(target) as place:\n    place.mkdir()\n    (place / 'new').touch()\n"
        "    pathlib.Path.replace = counted(pathlib.Path.replace)\n    paths._remove = counted(paths._remove)\n"
    )
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    done = subprocess.run([sys.executable, "-c", code, target], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 9
    assert names(target) == ([left] if left else [])
    with pytest.raises(InputError), written_whole(target):
        raise InputError("the next writer does not come far")
    assert names(tmp_path) == ["folder", f"folder/{left or 'old'}"]


WRITES = (
    "import pathlib, sys\nfrom pipeline.core.paths import written_whole\n"
    "with written_whole(pathlib.Path(sys.argv[1])) as place:\n"
    "    place.write_text('another')\n    print(place, flush=True)\n    sys.stdin.read()\n"
)


def test_of_two_that_write_one_file_at_once_each_writes_its_own_and_the_last_stays(tmp_path: Path) -> None:
    target = tmp_path / "file"
    words = [sys.executable, "-c", WRITES, str(target)]
    with written_whole(target) as place:
        place.write_text("one", encoding="utf-8")
        subprocess.run(words, cwd=Path(__file__).parents[2], input="", text=True, check=True)
        assert target.read_text(encoding="utf-8") == "another"
    assert target.read_text(encoding="utf-8") == "one"
    assert names(tmp_path) == ["file"]


def test_what_a_killed_writer_left_is_removed_by_the_next_one_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    target = tmp_path / "file"
    # As earlier versions left it.
    (tmp_path / ".file.partial").touch()
    words, root = [sys.executable, "-c", WRITES, str(target)], Path(__file__).parents[2]
    with subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        for writer in ("a living one", "a killed one"):
            with written_whole(target) as place:
                place.touch()
                assert left.exists() == (writer == "a living one")
            child.kill()
            child.wait()
    assert names(tmp_path) == ["file"]


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()

    def write() -> None:
        with written_whole(target) as place:
            place.mkdir()
            (place / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert names(tmp_path) == ["folder", "folder/old"]
