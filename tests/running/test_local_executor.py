"""Who gets what on this machine: GPUs and threads by cell, and the next cell only when those before it train."""

import os
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from signal import Signals
from types import SimpleNamespace
from typing import IO
from unittest.mock import Mock

import pytest
import tiny

from pipeline.core import paths, seeding
from pipeline.core.errors import InputError
from pipeline.running import cell_clones, driving
from pipeline.running.executors import gpus, local, logs
from pipeline.running.executors.contract import Prepared, Request, State, Task

EIGHT = [f"GPU-{number}" for number in range(8)]
TRAINS = "Running stage 'train@1':\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """A machine of so many GPUs and cores."""

    def make(count: int, cores: int) -> None:
        monkeypatch.setattr(gpus, "here", lambda: EIGHT[:count])
        monkeypatch.setattr(seeding, "cores", lambda: cores)

    return make


def prepared(*, jobs: int | None = None, sets: tuple[str, ...] = (), **settings: object) -> Prepared:
    recipe = tiny.experiment().model_copy(update={"device": "auto", "threads": "auto"} | settings)
    return local.prepare(Request("mine", [recipe], sets, jobs, Path("logs")))


@pytest.mark.parametrize(
    ("count", "jobs", "places"),
    [
        (0, None, [None]),
        (0, 3, [None, None, None]),
        (1, None, EIGHT[:1]),
        (1, 3, EIGHT[:1] * 3),
        (8, None, EIGHT),
        (8, 3, EIGHT[:3]),
        (8, 16, [*EIGHT, *EIGHT]),
    ],
)
def test_a_cell_has_a_gpu_of_its_own_and_shares_one_only_where_the_user_says_more(
    count: int, jobs: int | None, places: list[str | None]
) -> None:
    assert gpus.places(EIGHT[:count], jobs) == places


@pytest.mark.parametrize(
    ("variable", "names"), [("0,2", ["0", "2"]), ("GPU-a", ["GPU-a"]), ("", []), ("-1", []), ("1,-1,0", ["1"])]
)
def test_gpus_that_a_scheduler_or_the_user_named_are_all_there_are(
    variable: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "version", lambda _: "2.9.0")
    assert gpus.here({gpus.VARIABLE: variable}) == names


def test_gpus_are_counted_by_the_driver_and_a_torch_without_cuda_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\n", encoding="utf-8")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(gpus, "version", lambda _: "2.9.0")
    assert gpus.here({}) == ["GPU-1"]
    driver.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n", encoding="utf-8")
    assert gpus.here({}) == []
    driver.unlink()
    assert gpus.here({}) == []
    monkeypatch.setattr(gpus, "version", lambda _: "2.9.0+cpu")
    assert gpus.here({gpus.VARIABLE: "0"}) == []
    monkeypatch.setattr(gpus, "version", metadata.version)
    assert isinstance(gpus.here({gpus.VARIABLE: "0"}), list)


def test_on_gpus_the_threads_stay_and_a_line_says_how_many(machine: Callable[[int, int], None]) -> None:
    machine(8, 64)
    assert prepared()[1:] == ((), ("8 cells at a time on 8 GPUs",))
    assert prepared(jobs=16)[1:] == ((), ("16 cells at a time on 8 GPUs",))
    machine(1, 64)
    assert prepared()[1:] == ((), ())


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_on_cpus_cells_divide_the_cores_and_a_line_says_how(device: str, machine: Callable[[int, int], None]) -> None:
    machine(8 if device == "cpu" else 0, 8)
    assert prepared(device=device)[1:] == ((), ())
    words, (line,) = prepared(device=device, jobs=3)[1:]
    assert words == ("threads=2",)
    assert line.startswith("3 cells at a time on 8 cores: each has -S threads=2, which is part of what it is")


@pytest.mark.parametrize("sets", [("threads=auto",), ("threads=4",)])
def test_threads_that_the_user_or_a_cell_names_are_not_divided(
    sets: tuple[str, ...], machine: Callable[[int, int], None]
) -> None:
    machine(0, 8)
    assert prepared(jobs=2, sets=sets)[1:] == ((), ())
    assert prepared(jobs=2, threads=4)[1:] == ((), ())


def tasks(count: int, device: str = "auto") -> list[Task]:
    return [Task(f"c{number}", f"mine-c{number}", (), 1, device) for number in range(count)]


class Run:
    """Stands for a cell that runs until the test ends it."""

    every: dict[str, "Run"]

    def __init__(self, task: Task, origin: object, log: Path, gpu: str | None) -> None:
        self.gpu, self.log, self.end = gpu, log, None
        self.signals: list[str] = []
        self.is_removed = False
        self.process = SimpleNamespace(send=self.send, is_left=lambda: not self.signals)
        Run.every[task.cell] = self

    def ended(self) -> State | None:
        return self.end

    def send(self, number: Signals) -> None:
        self.signals.append(number.name)

    def remove(self) -> None:
        self.is_removed = True


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> local.Local:
    Run.every = {}
    monkeypatch.setattr(local, "Running", Run)
    monkeypatch.setattr(local, "ProjectSnapshot", lambda root: SimpleNamespace(root=root))
    made = local.Local(tmp_path, tmp_path, EIGHT[:2])
    made.look_every = 0.0
    return made


def test_the_next_cell_begins_when_those_before_it_train_on_the_gpu_that_is_free(executor: local.Local) -> None:
    handles = [executor.submit(task) for task in tasks(3)]
    executor.state(handles)
    assert [state.phase for state in executor.state(handles).values()] == ["running", "waiting", "waiting"]
    Run.every["c0"].log.write_text(TRAINS, encoding="utf-8")
    assert [state.phase for state in executor.state(handles).values()] == ["running", "running", "waiting"]
    Run.every["c1"].log.write_text(TRAINS, encoding="utf-8")
    executor.state(handles)
    assert set(Run.every) == {"c0", "c1"}
    Run.every["c0"].end = State("failed", "no room")
    assert executor.state(handles)["mine-c0"] == State("failed", "no room")
    executor.state(handles)
    assert {cell: run.gpu for cell, run in Run.every.items()} == {"c0": "GPU-0", "c1": "GPU-1", "c2": "GPU-0"}
    executor.cancel(handles)
    assert {cell for cell, run in Run.every.items() if run.signals == ["SIGINT"] and run.is_removed} == {"c1", "c2"}
    assert not executor._waiting


@pytest.mark.parametrize("error", [InputError("git clone: no room"), OSError(28, "No space left on device")])
def test_a_cell_that_cannot_be_set_up_fails_alone(
    error: Exception, executor: local.Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(task: Task, *words: object) -> Run:
        if task.cell == "c0":
            (tmp_path / cell_clones.PLACE / task.experiment).mkdir(parents=True)
            raise error
        return Run(task, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "Running", start)
    # Both places are needed again.
    handles = [executor.submit(task) for task in tasks(3)]
    first = executor.state(handles)["mine-c0"]
    assert first == State("failed", f"it could not be set up: {error}")
    assert local.of_study(tmp_path, tmp_path, {"c0": "mine-c0"}) == {"c0": first}
    assert not list((tmp_path / cell_clones.PLACE).iterdir())
    executor.state(handles)
    Run.every["c1"].log.write_text(TRAINS, encoding="utf-8")
    states = executor.state(handles)
    assert [state.phase for state in states.values()] == ["failed", "running", "running"]


def test_a_full_disk_at_the_end_of_a_cell_fails_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr(local, "CellProcess", lambda *_, **__: SimpleNamespace(status=lambda: 0))
    monkeypatch.setattr(cell_clones, "bring_back", full)
    monkeypatch.setattr(logs, "note_failure", full)
    origin = SimpleNamespace(root=tmp_path, copy=lambda _: tmp_path)
    running = local.Running(tasks(1)[0], origin, tmp_path / "c0.log")  # type: ignore[arg-type]
    assert running.ended() == State("failed", "[Errno 28] No space left on device")


def test_cells_are_driven_to_their_ends_and_the_rest_is_cancelled(executor: local.Local) -> None:
    advanced: list[int] = []

    def trained(count: int) -> None:
        advanced.append(count)
        for run in Run.every.values():
            run.log.write_text(f"{TRAINS}mlflow: no answer; the report is whole; later\n", encoding="utf-8")
            run.end = State("finished")

    run = driving.run(tasks(3), executor, on_trained=trained)
    first = next(run)
    assert (first.task.cell, first.failure, first.cached, first.not_sent) == ("c0", "", False, "no answer; later")
    assert [one.task.cell for one in run] == ["c1", "c2"]
    assert sum(advanced) == 3

    Run.every = {}

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(driving.run(tasks(2), executor, on_trained=stop))
    assert [one.is_removed for one in Run.every.values()] == [True]


def test_a_look_moves_the_bar_once_and_counts_no_log_of_a_run_before(executor: local.Local, tmp_path: Path) -> None:
    advanced: list[int] = []

    def trained(count: int) -> None:
        advanced.append(count)
        if len(advanced) == 2:
            raise KeyboardInterrupt

    for number in range(50):
        (tmp_path / f"c{number}.log").write_text("Running stage 'train@1':\nRunning stage 'evaluate@1':\n", "utf-8")
    # The one that begins writes a log of its own.
    (tmp_path / "c0.log").unlink()
    with pytest.raises(KeyboardInterrupt):
        list(driving.run(tasks(50), executor, on_trained=trained))
    assert advanced == [0, 0]


@pytest.mark.parametrize(
    ("code", "printed", "reason"),
    [
        (-9, f"{TRAINS}> python -m x\n", "killed by SIGKILL, perhaps for lack of memory; last line: > python -m x"),
        (137, "a: error: of before\n", "killed by SIGKILL, perhaps for lack of memory; last line: a: error: of before"),
        (-15, "", "killed by SIGTERM"),
        (143, "> python\n", "killed by SIGTERM; last line: > python"),
        (
            1,
            "ERROR: failed to reproduce 'train@1': failed to run: python -m x, exited with -9\n",
            "killed by SIGKILL, perhaps for lack of memory: ERROR: failed to reproduce 'train@1': failed to run: "
            "python -m x, exited with -9",
        ),
        (1, "ERROR: failed to run: x, exited with 1\n", "ERROR: failed to run: x, exited with 1"),
        (2, "> python -m x\n\n", "dvc ended with 2; last line: > python -m x"),
        (2, "", "dvc ended with 2"),
    ],
)
def test_a_cell_that_was_killed_says_so_and_no_line_that_is_no_error_is_the_reason(
    code: int, printed: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, stream: IO[str], **__: object) -> SimpleNamespace:
        stream.write(printed)
        return SimpleNamespace(status=lambda: code)

    monkeypatch.setattr(local, "CellProcess", start)
    monkeypatch.setattr(cell_clones, "bring_back", lambda *_: None)
    origin = SimpleNamespace(root=tmp_path, copy=lambda _: tmp_path)
    running = local.Running(tasks(1)[0], origin, tmp_path / "c0.log")  # type: ignore[arg-type]
    assert running.ended() == State("failed", f"{reason} (log: {tmp_path}/c0.log)")


def test_a_study_shows_what_runs_here_and_what_failed_when_it_last_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends_with(code: int, printed: str) -> State | None:
        def start(*_: object, stream: IO[str], **__: object) -> SimpleNamespace:
            stream.write(printed)
            return SimpleNamespace(status=lambda: code)

        monkeypatch.setattr(local, "CellProcess", start)
        return local.Running(tasks(1)[0], origin, tmp_path / "c0.log").ended()  # type: ignore[arg-type]

    def shown(experiment: str = "mine-c0") -> dict[str, State]:
        return local.of_study(tmp_path, tmp_path, {"c0": experiment})

    origin = SimpleNamespace(root=tmp_path, copy=lambda _: tmp_path)
    monkeypatch.setattr(cell_clones, "bring_back", lambda *_: None)
    assert shown() == {}
    failed = ends_with(1, "preprocess: error: no room\nERROR: failed to reproduce")
    assert failed == State("failed", f"preprocess: error: no room (log: {tmp_path}/c0.log)")
    assert (shown(), shown("mine-c0-of-other-settings")) == ({"c0": failed}, {})
    monkeypatch.setattr(cell_clones, "bring_back", Mock(side_effect=InputError("git fetch: error: one\nerror: two")))
    ends_with(0, TRAINS)
    assert shown() == {"c0": State("failed", "git fetch: error: one error: two")}
    monkeypatch.setattr(cell_clones, "bring_back", lambda *_: None)
    assert ends_with(0, TRAINS) == State("finished")
    assert shown() == {}
    clone = tmp_path / cell_clones.PLACE / "mine-c0"
    clone.mkdir(parents=True)
    assert shown() == {}
    of_the_cell = os.environ | {paths.ROOT_VARIABLE: str(tmp_path)}
    with subprocess.Popen(("sleep", "60"), cwd=clone, env=of_the_cell) as process:
        assert shown() == {"c0": State("running")}
        process.kill()


@pytest.mark.parametrize(("device", "is_set"), [("auto", True), ("cuda", True), ("cuda:1", False), ("cpu", False)])
def test_a_cell_sees_its_gpu_alone_unless_it_names_one_by_number(
    device: str, is_set: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, str] = {}
    monkeypatch.delenv(gpus.VARIABLE, raising=False)
    monkeypatch.setattr(local, "CellProcess", lambda *_, environment, **__: started.update(environment))
    origin = SimpleNamespace(root=tmp_path, copy=lambda _: tmp_path)
    local.Running(tasks(1, device)[0], origin, tmp_path / "c0.log", "GPU-5")  # type: ignore[arg-type]
    assert (started.get(gpus.VARIABLE) == "GPU-5") == is_set
