"""Input that cannot be used, and the one line that refuses it: what every table of such cases shares."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pipeline.core.errors import one_line_errors

# Characters of a line, most of them ours: a given value takes a fraction of it.
LONGEST_LINE = 500
# Of this process's own time: on a busy machine the clock runs on.
SECONDS = 2.0


class Refused(NamedTuple):
    """One case.

    Attributes:
        name: what is wrong with it.
        given: a file's text or bytes, a word, a value.
        line: what the line says, or a part of it.
    """

    name: str
    given: Any
    line: str


def table(*cases: tuple[str, Any, str]) -> Any:
    """Return the parametrization of a test by `case`, each with its own name."""
    return pytest.mark.parametrize("case", [Refused(*case) for case in cases], ids=[case[0] for case in cases])


def refusal(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the line on standard error with which a call ends; it is short, the only one, and there at once."""
    capsys.readouterr()
    started = time.process_time()
    with pytest.raises(SystemExit) as left, one_line_errors("it"):
        call()
    assert time.process_time() - started < SECONDS
    printed = capsys.readouterr().err
    assert left.value.code == 1
    assert printed.startswith("it: error: ")
    assert printed.count("\n") == 1
    line = printed.removesuffix("\n")
    assert line.isprintable()
    assert len(line) < LONGEST_LINE
    return line.removeprefix("it: error: ")
