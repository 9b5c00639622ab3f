"""Signals that ask to stop are noted, and the second one interrupts, unless it repeats a scheduler's."""

import os
import signal
import sys
import threading
import time
import weakref

import pytest

from pipeline.core import stopping
from pipeline.core.stopping import StoppedError, StopRequest


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_the_first_signal_is_noted_and_the_second_interrupts(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number != signal.SIGINT:
        monkeypatch.setattr(stopping, "REPEATED_SECONDS", 0.0)
    with stopping.noted() as request:
        assert request.reason == ""
        os.kill(os.getpid(), number)
        assert request.reason == number.name
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", stopping.SIGNALS[1:])
def test_what_a_schedulers_signal_is_passed_on_as_is_no_second_one(number: signal.Signals) -> None:
    with stopping.noted() as request:
        for one in (number, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), one)
        assert request.reason == number.name


def test_the_handlers_are_those_of_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with pytest.raises(ZeroDivisionError), stopping.noted():
        _ = 1 / 0
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


def test_an_interrupt_in_a_callback_that_python_ignores_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    class Traced:
        pass

    def interrupted(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = sys.unraisablehook
    traced = Traced()
    watched = weakref.ref(traced, interrupted)

    def forget_and_wait() -> None:
        nonlocal traced
        del traced
        assert watched() is None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), stopping.insisting():
        forget_and_wait()
    assert sys.unraisablehook is before
    assert "KeyboardInterrupt" not in capsys.readouterr().err


def test_nothing_stops_a_process_that_has_written_all() -> None:
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    try:
        stopping.ignore()
        for number in stopping.SIGNALS:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.noted() as request:
            os.kill(os.getpid(), signal.SIGHUP)
            assert request.reason == ""
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_noted_and_nothing_fails() -> None:
    seen: list[StopRequest] = []

    def work() -> None:
        with stopping.noted() as request:
            seen.append(request)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[0].reason == ""


@pytest.mark.parametrize(("reason", "status"), [("SIGINT", 130), ("SIGTERM", 75), ("SIGUSR1", 75), ("SIGHUP", 75)])
def test_the_status_tells_ctrl_c_from_a_scheduler(reason: str, status: int) -> None:
    request = StopRequest()
    request.reason = reason
    assert StoppedError(request, "in epoch 1").status == status
