"""Every table of choices: its rows have words, what they name is there, and importing it is cheap."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import choices
from pipeline.core.choices import Choice, load, row
from pipeline.core.errors import InputError
from pipeline.evaluation.scores import SCORES

ROOT = Path(__file__).parents[1]
TABLES = {**choices.TABLES, "metric": SCORES}
ROWS = [pytest.param(one, id=f"{key} {name}") for key, table in TABLES.items() for name, one in table.items()]
REFERENCE = re.compile(r"pipeline\.[\w.]+:\w+")
MODULES = ["pipeline.config.choices", "pipeline.evaluation.scores"]


@pytest.mark.parametrize("one", ROWS)
def test_every_row_has_a_title_and_a_description_of_one_line(one: Choice) -> None:
    for text in (one.title, one.description):
        assert text
        assert text == " ".join(text.split())
        assert not text.endswith(".")


@pytest.mark.parametrize("one", ROWS)
def test_what_a_row_refers_to_is_there(one: Choice) -> None:
    for value in vars(one).values():
        if isinstance(value, str) and REFERENCE.fullmatch(value):
            assert load(value)


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_table_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'torchvision', 'mlflow'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("key", TABLES)
def test_an_unknown_name_is_told_with_those_that_are_known(key: str) -> None:
    with pytest.raises(InputError) as caught:
        row(TABLES[key], "nothing", key=key)
    assert str(caught.value) == f"{key}: 'nothing' is not known; known: {', '.join(TABLES[key])}"
