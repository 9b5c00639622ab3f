"""The list of planted faults fits the code as it is; `make mutants` runs them."""

from dataclasses import replace
from pathlib import Path

import mutants
import pytest

FAULTS = mutants.load()
GOOD = mutants.Mutant("A sum is a difference", "code.py", "a + b", "a - b", ("test_code.py",))


def test_every_fault_fits_the_code_once_and_names_tests_that_are_there() -> None:
    assert mutants.problems(FAULTS) == []


def test_there_are_faults_in_every_room() -> None:
    rooms = {
        place.name for place in (mutants.ROOT / "pipeline").iterdir() if place.is_dir() and any(place.glob("*.py"))
    }
    assert len(FAULTS) >= 45
    assert rooms <= {Path(fault.file).parts[1] for fault in FAULTS if fault.file.startswith("pipeline/")}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"old": "a"}, ["its old text is 2 times in code.py; write it anew"]),
        ({"old": "a * b"}, ["its old text is 0 times in code.py; write it anew"]),
        ({"new": "a + b"}, ["changes nothing"]),
        ({"new": "a +"}, ["it is no Python: invalid syntax (code.py, line 1)"]),
        ({"file": "gone.py"}, ["there is no gone.py"]),
        ({"tests": ("test_code.py", "test_gone.py")}, ["there is no test_gone.py"]),
    ],
)
def test_a_fault_that_does_not_fit_is_told(tmp_path: Path, changes: dict[str, object], told: list[str]) -> None:
    (tmp_path / "code.py").write_text("total = a + b\n", encoding="utf-8")
    (tmp_path / "test_code.py").touch()
    assert mutants.problems([replace(GOOD, **changes)], tmp_path) == [f"{GOOD.name}: {line}" for line in told]


def test_a_name_that_comes_twice_is_told() -> None:
    assert f"{GOOD.name}: named twice" in mutants.problems([GOOD, GOOD])
