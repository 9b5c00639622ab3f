"""What holds for the rows of every table of choices: titles, descriptions, and the code that they name."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import dependencies
import pytest

from pipeline.config import choices
from pipeline.core.choices import Choice, load, row
from pipeline.core.errors import InputError
from pipeline.core.types import Section
from pipeline.evaluation.scores import SCORES
from pipeline.networks.attention.table import ATTENTIONS, POSITIONS
from pipeline.networks.backbones.structure import Backbone
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.heads.table import HEADS
from pipeline.regularizers.table import METHODS

ROOT = Path(__file__).parents[1]
# A table is a constant, written out at the top of its module.
WRITTEN = re.compile(r"^([A-Z_]+): dict\[str, \w+\] = \{", re.MULTILINE)


def tables() -> Iterator[tuple[str, dict[str, Choice]]]:
    """Every table with where it is."""
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        for name in WRITTEN.findall(file.read_text(encoding="utf-8")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            value = getattr(importlib.import_module(module), name)
            if any(isinstance(one, Choice) for one in value.values()):
                yield f"{module}:{name}", value


TABLES = dict(tables())
MODULES = sorted({table.partition(":")[0] for table in TABLES})
# As a setting has them, where what is no row of the table is one of its choices too.
OF_SETTINGS = {**choices.TABLES, "metric": SCORES}
ROWS = {f"{table}[{name!r}]": one for table, rows in {**TABLES, **OF_SETTINGS}.items() for name, one in rows.items()}


def references(one: Choice) -> list[str]:
    """What a row names as "module:attribute"."""
    values = [getattr(one, field.name) for field in fields(one)]
    return [value for value in values if isinstance(value, str) and dependencies.REFERENCE.fullmatch(f'"{value}"')]


REFERENCES = sorted(
    {(table, name) for table, rows in TABLES.items() for one in rows.values() for name in references(one)}
)


def test_the_tables_of_all_rooms_are_among_them() -> None:
    assert set(TABLES) == {
        "pipeline.datasets.collect.sets:SETS",
        "pipeline.datasets.transforms.table:AUGMENTATIONS",
        "pipeline.evaluation.scores:SCORES",
        "pipeline.networks.attention.table:ATTENTIONS",
        "pipeline.networks.attention.table:POSITIONS",
        "pipeline.networks.backbones.table:BACKBONES",
        "pipeline.networks.heads.table:HEADS",
        "pipeline.networks.strategies:OTHER_STRATEGIES",
        "pipeline.networks.strategies:STRATEGIES",
        "pipeline.networks.weights:WEIGHTS",
        "pipeline.regularizers.table:METHODS",
        "pipeline.training.table:CLASS_WEIGHTS",
        "pipeline.training.table:OPTIMIZERS",
        "pipeline.training.table:SAMPLERS",
        "pipeline.training.table:SCHEDULES",
    }


@pytest.mark.parametrize("setting", OF_SETTINGS)
def test_what_a_setting_may_be_is_the_rows_of_such_tables_and_none(setting: str) -> None:
    known = OF_SETTINGS[setting].items()
    left = {name for name, one in known if not any(rows.get(name) is one for rows in TABLES.values())}
    assert left == ({"none"} if setting == "data.augmentation" else set())


def test_importing_the_tables_loads_no_heavy_library() -> None:
    imported = ", ".join(["sys", "pipeline.config.choices", *MODULES])
    code = f"import {imported}; print({{'torch', 'torchvision', 'mlflow'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_a_title_for_a_sentence_and_a_description_of_one_line(name: str) -> None:
    one = ROWS[name]
    for text in (one.title, one.description):
        assert text
        assert text == " ".join(text.split())
        assert not text.endswith(".")
    assert one.options_type is None or issubclass(one.options_type, Section)


@pytest.mark.parametrize("name", TABLES)
def test_no_two_rows_of_a_table_have_one_title(name: str) -> None:
    titles = [one.title for one in TABLES[name].values()]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize(("table", "name"), REFERENCES)
def test_what_a_row_names_is_there_and_in_its_own_room(table: str, name: str) -> None:
    assert load(name) is not None
    assert name.split(".")[:2] == table.split(".")[:2]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_a_row_of_a_backbone_names_its_definition(name: str) -> None:
    assert isinstance(load(BACKBONES[name].definition), Backbone)


def code(one: Choice) -> list[str]:
    """What a row names besides its options."""
    return [name for name in references(one) if name != one.options]


def test_every_row_names_its_code_but_what_has_none() -> None:
    assert {name for name, one in ATTENTIONS.items() if not code(one)} == {"none"}
    assert {name for name, one in METHODS.items() if not code(one)} == {"none", "afa", "spa_gca"}
    for table in (BACKBONES, HEADS, POSITIONS):
        assert all(len(code(one)) == 1 for one in table.values())


def test_a_mechanism_goes_to_one_of_the_positions() -> None:
    assert {one.position for one in ATTENTIONS.values() if one.module} == set(POSITIONS)


def test_the_methods_of_a_sequence_are_rows_with_code_of_their_own() -> None:
    pairs = [pair for one in METHODS.values() for pair in one.sequences.values()]
    assert pairs
    assert all(METHODS[name].module for pair in pairs for name in pair)


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_stage_depends_on_what_rows_name(stage: str) -> None:
    named = {dependencies.file_of(name.partition(":")[0]) for _, name in REFERENCES if "networks" in name}
    assert named
    assert named <= dependencies.imported(stage)


@pytest.mark.parametrize("setting", OF_SETTINGS)
def test_an_unknown_name_is_told_with_those_that_are_known(setting: str) -> None:
    with pytest.raises(InputError) as caught:
        row(OF_SETTINGS[setting], "nothing", key=setting)
    assert str(caught.value) == f"{setting}: 'nothing' is not known; known: {', '.join(OF_SETTINGS[setting])}"


def test_a_row_is_had_by_its_name() -> None:
    with pytest.raises(InputError, match=r"^head: 'mlp' is not known; known: mlp1024, linear, conv1x1, torchvision$"):
        row(HEADS, "mlp", key="head")
    assert row(HEADS, "linear", key="head") is HEADS["linear"]
