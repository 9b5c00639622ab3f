import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import pipeline
from pipeline.core.errors import InputError
from pipeline.datasets.decoding import parallel
from pipeline.datasets.decoding.parallel import mapped

COUNT = 40
# More than the parent does while its workers start.
MANY = 400


def _square(number: int) -> int:
    return number * number


def _slow_at_first(number: int) -> int:
    time.sleep(0.2 if number < 2 else 0)
    return number


def _fail(number: int) -> int:
    if number == 3:
        raise InputError("3 is not for us")
    return number


def _die(_: int) -> None:
    time.sleep(0.01)
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)


def _process(_: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def _dawdle_later(number: int) -> None:
    time.sleep(60 if number else 0)


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(parallel, "_SECONDS_ALONE", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 2)


def test_little_work_is_done_without_workers():
    with mapped(_process, range(3)) as results:
        assert set(results) == {os.getpid()}


def test_no_work_is_no_work():
    with mapped(_square, []) as results:
        assert list(results) == []


def test_much_work_is_done_here_while_workers_start_and_by_them_from_then_on(at_once):
    with mapped(_process, range(MANY)) as results:
        processes = list(results)
    alone = processes.count(os.getpid())
    assert 0 < alone < MANY
    assert processes[:alone] == [os.getpid()] * alone
    assert len(processes) == MANY
    assert len(set(processes[alone:])) == 2
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("seconds", "workers"), [(0.4, False), (4, True)])
def test_workers_are_started_where_what_is_left_takes_longer_than_that(monkeypatch, seconds, workers):
    now, started = 0.0, []

    def work(_):
        nonlocal now
        now += seconds / 1000

    monkeypatch.setattr(parallel, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    monkeypatch.setattr(parallel, "_with_workers", lambda _work, items, _ahead: started.append(len(items)) or items)
    with mapped(work, range(1000)) as results:
        assert len(list(results)) == 1000
    # A tenth of a second is watched first.
    assert started == ([975] if workers else [])


def test_the_time_that_results_take_is_not_the_works(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    with mapped(_square, range(COUNT)) as results:
        for _ in results:
            time.sleep(0.01)
            assert not multiprocessing.active_children()


def test_one_core_works_alone(monkeypatch):
    monkeypatch.setattr(parallel, "_SECONDS_ALONE", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    with mapped(_process, range(3)) as results:
        assert set(results) == {os.getpid()}


def test_results_keep_the_items_order(at_once):
    with mapped(_slow_at_first, range(COUNT)) as results:
        assert list(results) == list(range(COUNT))


def test_what_fails_in_a_worker_fails_here_and_no_worker_stays(at_once):
    with pytest.raises(InputError, match=r"^3 is not for us$"), mapped(_fail, range(COUNT)) as results:
        list(results)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_reported_in_a_line(at_once):
    message = (
        r"^a worker process was killed, probably for lack of memory; end other programs, or put `taskset -c 0` before "
    )
    with pytest.raises(InputError, match=message), mapped(_die, range(MANY)) as results:
        list(results)


def test_leaving_early_stops_the_workers_at_once(at_once):
    began = time.monotonic()
    with mapped(_dawdle_later, range(COUNT)) as results:
        next(results)
    assert time.monotonic() - began < 30
    assert not multiprocessing.active_children()


PARENT = """
import multiprocessing
import os
import time
from pipeline.datasets.decoding import parallel

def dawdle(number):
    if multiprocessing.parent_process() is None:
        time.sleep(0.01)
    else:
        # A line in one write: unbuffered, print writes its end apart, and two workers' lines mix.
        os.write(1, b"a worker\\n")
        time.sleep(60)

if __name__ == "__main__":
    parallel._SECONDS_ALONE = 0
    parallel.cores = lambda: 2
    with parallel.mapped(dawdle, range(1000)) as results:
        list(results)
"""


@pytest.fixture
def parent(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path(pipeline.__file__).parents[1])}
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["a worker\n"] * 2
        yield process
        process.kill()


def test_workers_go_with_a_killed_parent(parent):
    parent.kill()
    # The pipe ends with the last process that can write to it.
    parent.communicate(timeout=10)
    assert parent.returncode == -signal.SIGKILL


def test_ctrl_c_ends_parent_and_workers_with_one_traceback(parent):
    os.killpg(parent.pid, signal.SIGINT)
    errors = parent.communicate(timeout=10)[1]
    assert errors.count("KeyboardInterrupt") == 1
    assert parent.returncode != 0
