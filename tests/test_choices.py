"""What holds for every table of choices: its rows have words, what they name is there, and importing it is cheap."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

from pipeline import params
from pipeline.core.choices import Choice, load, row
from pipeline.core.errors import InputError
from pipeline.datasets.augmenting.table import AUGMENTATIONS
from pipeline.datasets.collect.sets import SETS
from pipeline.evaluation.scores import SCORES
from pipeline.training.table import CLASS_WEIGHTS, OPTIMIZERS, SAMPLERS, SCHEDULES

ROOT = Path(__file__).parents[1]
TABLES: dict[str, dict[str, Choice]] = {
    "augmentation": dict(AUGMENTATIONS),
    "class_weights": dict(CLASS_WEIGHTS),
    "metric": dict(SCORES),
    "optimizer": dict(OPTIMIZERS),
    "sampler": dict(SAMPLERS),
    "schedule": dict(SCHEDULES),
    "data": dict(SETS),
}
ROWS = [pytest.param(one, id=f"{key} {name}") for key, table in TABLES.items() for name, one in table.items()]
MODULES = [
    "pipeline.core.choices",
    "pipeline.datasets.augmenting.table",
    "pipeline.datasets.collect.sets",
    "pipeline.evaluation.scores",
    "pipeline.training.table",
]


@pytest.mark.parametrize("one", ROWS)
def test_every_row_has_a_title_and_a_description_of_one_line(one: Choice) -> None:
    for text in (one.title, one.description):
        assert text
        assert text == " ".join(text.split())
        assert not text.endswith(".")


@pytest.mark.parametrize("one", ROWS)
def test_what_a_row_refers_to_is_there(one: Choice) -> None:
    for field in ("make", "bring"):
        if reference := getattr(one, field, None):
            assert callable(load(reference))


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


@pytest.mark.parametrize(
    ("section", "key", "names"),
    [
        (params.Loop, "optimizer", OPTIMIZERS),
        (params.Loop, "schedule", SCHEDULES),
        (params.Train, "sampler", SAMPLERS),
        (params.Train, "class_weights", CLASS_WEIGHTS),
        (params.Data, "set", SETS),
        (params.Data, "augmentation", ["none", *AUGMENTATIONS]),
    ],
)
def test_a_recipe_may_name_every_row_and_nothing_else(section: Any, key: str, names: Iterable[str]) -> None:
    assert list(get_args(section.model_fields[key].annotation)) == list(names)
