"""Input that cannot be used, and the one line that refuses it: what every table of such cases shares.

`make refusals` tests all of them and prints one table.
"""

import os
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import limits
import pytest

from pipeline.core.errors import one_line_errors

# The tests of such cases, by what is given.
PLACES = {
    "setting": ("tests/config/test_refused_settings.py", "tests/config/test_bounds.py"),
    "weights file": ("tests/stages/test_weights_files.py",),
    "folder": ("tests/datasets/test_odd_folders.py",),
}

# Characters of a line, most of them ours: a given value takes a fraction of it.
LONGEST_LINE = 500
SECONDS = 2.0
# By the case's place in the tests.
LINES: dict[str, str] = {}


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
    with limits.within(SECONDS), pytest.raises(SystemExit) as left, one_line_errors("it"):
        call()
    printed = capsys.readouterr().err
    assert left.value.code == 1
    assert printed.startswith("it: error: ")
    assert printed.count("\n") == 1
    line = printed.removesuffix("\n")
    assert line.isprintable()
    assert len(line) < LONGEST_LINE
    line = line.removeprefix("it: error: ")
    note(line)
    return line


def note(line: str) -> None:
    """Keep the line of the case that is tested, for the table."""
    LINES.setdefault(os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)"), line)


def main() -> int:
    """Test all cases, and print a table with the line of each."""
    tests = [place for places in PLACES.values() for place in places]
    failed = pytest.main([*tests, "--quiet", "-n", "0", "-m", "not real", "--no-header"])
    # pytest has imported this file once more.
    lines: dict[str, str] = sys.modules["refusals"].LINES
    print("\n| given | what is wrong | the line |\n| --- | --- | --- |")
    for kind, places in PLACES.items():
        own = [(case, line) for case, line in lines.items() if case.startswith(places)]
        for case, line in own:
            name = re.sub(r"^[^\[]*\[|\]$", "", case)
            print(f"| {kind} | {_cell(name)} | {_cell(line)} |")
    print(f"\n{len(lines)} cases; a traceback: {sum('Traceback' in line for line in lines.values())}")
    return int(failed)


def _cell(text: str) -> str:
    """Return a text as a cell of a table."""
    return text.encode("unicode_escape").decode("ascii").replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    raise SystemExit(main())
