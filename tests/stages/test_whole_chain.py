"""Every recipe of params.yaml, and a regularizer of each kind, through all stages as dvc.yaml has them."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import readme
import tiny

from pipeline.core import paths
from pipeline.core.records import Record
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Assigned
from pipeline.networks.strategies import EVERYTHING, LP_FT
from pipeline.preview import overriding
from pipeline.regularizers.table import METHODS

RECIPES: dict[str, Any] = tiny.shipped()["recipes"]


def commands() -> dict[str, list[str]]:
    """The words of the README's commands that cut a recipe down, by recipe."""
    listed = map(readme.overrides, readme.commands(readme.section("Try a recipe on the drawn spiders")))
    return {re.findall(r"\brecipe=(\w+)", " ".join(given))[0]: given for given in listed}


COMMANDS = commands()
SLOW = ("animals", "modern", "spa_gca")


def put(given: Sequence[str]) -> None:
    """Do to params.yaml what DVC does for these words."""
    [resolved] = overriding.read_each([given])
    values, name = resolved.settings.values, resolved.recipe.recipe
    tiny.write({**values, "recipes": {name: values["recipes"][name]}})


def merged(defaults: Mapping[str, Any], section: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's section on top of the defaults."""
    both = {
        key: merged(defaults[key], section[key]) for key in {*defaults} & {*section} if isinstance(section[key], dict)
    }
    return {**defaults, **section, **both}


def record() -> Record:
    file = paths.training_metrics(1) / "record.json"
    return Record.parse(file.read_bytes(), file)


def test_the_readme_cuts_every_recipe_of_photographs() -> None:
    assert set(COMMANDS) == {name for name, recipe in RECIPES.items() if recipe["data"]["set"] != "synthetic"}


@pytest.mark.usefixtures("bare", "uncharted")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in sorted(RECIPES)]
)
def test_a_recipe_runs_from_drawn_spiders_to_a_number(name: str) -> None:
    """The recipe as the README cuts it, on networks of the same structure with few channels."""
    tiny.write(tiny.every_recipe())
    put(COMMANDS.get(name, [f"recipe={name}", "weights=none", "budget=1", f"image_size={tiny.SIDE}"]))
    tiny.chain()
    summary = json.loads(paths.SUMMARY.read_text(encoding="utf-8"))
    assert 0 <= summary["accuracy"]["mean"] <= 1
    found, written = record(), merged(tiny.shipped()["defaults"], RECIPES[name])
    recorded = found.recipe.model_dump(mode="json")
    given = dict(word.split("=", 1) for word in COMMANDS.get(name, []))
    for key in ("backbone", "freeze", "attention", "head"):
        assert recorded["network"][key] == given.get(key, str(written["network"][key]))
    for key in ("optimizer", "schedule", "freeze_bn_stats", "sampler", "class_weights", "lr_factors"):
        assert recorded["train"][key] == written["train"][key]
    assert recorded["regularizer"]["method"] == written["regularizer"]["method"]
    assert recorded["data"]["augmentation"] == written["data"]["augmentation"]
    method = written["regularizer"]["method"]
    halves = 2 if method != "none" and METHODS[method].sequences else 1
    whole = {LP_FT: EVERYTHING}.get(written["network"]["freeze"], written["network"]["freeze"])
    phases = [phase["freeze"] for phase in written["train"]["phases"]] or [whole] * halves
    assert [phase.freeze for phase in found.phases] == [str(freeze) for freeze in phases]
    assert (paths.REPORT / "index.html").is_file()


CHOOSING = (
    "dvc exp run -S defaults.data.split.division=1 -S defaults.data.split.inner=true",
    "dvc exp run -S defaults.data.split.train_fraction=0.5",
)


@pytest.mark.usefixtures("project", "uncharted")
def test_settings_are_chosen_without_an_image_of_the_test_part() -> None:
    outer = {image.path: image.part for image in manifest.read(paths.split_file(1), Assigned)}
    put([word for command in CHOOSING for word in readme.typed(command)] + ["recipes.quick.train.budget.amount=1"])
    tiny.chain("validate", "validate")
    tiny.chain("split")
    inner = manifest.read(paths.split_file(1), Assigned)
    assert {outer[image.path] for image in inner} == {"train"}
    page = Path(paths.REPORT / "index.html").read_text(encoding="utf-8").replace("\xa0", " ")
    assert "What is tested here is a part of the training images of repeat 1&#39;s division" in page
    assert "Of each class 50 % of the training images were used." in page


@pytest.mark.usefixtures("project", "uncharted")
@pytest.mark.parametrize(
    ("method", "terms"),
    [("delta", {"train_delta"}), ("spa_gca", {"train_spa", "train_gca"}), ("l2_fe", set())],
)
def test_a_regularizer_is_one_word_and_its_terms_are_in_the_curves_and_on_the_page(
    method: str, terms: set[str]
) -> None:
    words = readme.typed("dvc exp run -S regularizer=delta", put={"delta": method})
    put([*words, "recipes.quick.train.budget.amount=2"])
    tiny.chain("validate", "validate")
    tiny.chain("train")
    assert record().recipe.regularizer.method == method
    with (paths.training_metrics(1) / "history.csv").open(encoding="utf-8", newline="") as stream:
        columns = set(next(csv.reader(stream)))
    assert {name for name in columns if name.startswith("train_")} == {
        "train_loss",
        "train_accuracy",
        *terms,
        *({"train_head_penalty"} if terms else ()),
    }
    page = Path(paths.REPORT / "index.html").read_text(encoding="utf-8")
    assert f"regularizer {method}" in page
