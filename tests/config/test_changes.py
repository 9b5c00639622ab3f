"""What an experiment has in place of its recipe's own values."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import tiny

from pipeline import config
from pipeline.config.changes import changes, naming, own_values
from pipeline.core import provenance
from pipeline.core.naming import Naming


def resolved(values: Mapping[str, Any]) -> config.Resolved:
    return config.resolve(config.check(copy.deepcopy(dict(values))))


def put(values: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml with the words after -S put in."""
    whole = copy.deepcopy(dict(values))
    for name, value in words.items():
        *above, last = name.split(".")
        section = whole
        for key in above:
            section = section.setdefault(key, {})
        section[last] = value
    return whole


def changed(words: Mapping[str, Any], committed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    before = tiny.shipped() if committed is None else committed
    return changes(resolved(put(before, words)), before)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"freeze": "3c"},
        {"data": "digits", "freeze": "scratch", "budget": 2},
        {"recipe": "ecsm", "attention": "se", "options.attention.se.reduction": 4},
        {"recipe": "animals", "budget": 5, "lr": 1e-4},
        {"recipe": "spa_gca", "data": "mit67", "regularizer": "delta"},
        {"recipe": "spa_gca", "regularizer": "l2_fe", "image_size": 128},
        {"defaults.train.weight_decay": 1e-4},
        {"data": "digits", "defaults.data.split.per_class": {"train": 20, "test": 50, "val": 0}},
        {"recipe": "spa_gca", "recipes.spa_gca.data.split.per_class": {"train": 9, "test": 5, "val": 0}},
        {"recipes.quick.train.schedule": "step", "options.schedule.step.at": [0.25, 0.75]},
    ],
)
def test_the_changes_are_what_was_set_and_give_the_experiment_back(words):
    found = changed(words)
    assert found == {name: value for name, value in words.items() if name != "recipe"}
    again = put(tiny.shipped(recipe=words.get("recipe", "quick")), found)
    assert resolved(again).recipe == resolved(put(tiny.shipped(), words)).recipe


@pytest.mark.parametrize(
    "words",
    [
        {"freeze": "3b", "lr": 2e-3, "head": "linear", "budget": 5},
        {"options.attention.se.reduction": 4},
        {"recipes.ecsm.train.lr": 1e-3},
        {"repeats": [1, 2], "threads": 1, "folder": "/photos"},
    ],
)
def test_what_is_the_recipes_own_or_counts_for_others_is_no_change(words):
    assert changed(words) == {}


def test_what_the_commit_has_at_the_top_of_params_yaml_is_a_change_of_the_recipe_too():
    committed = tiny.shipped(freeze="3c", budget=2)
    assert changed({}, committed) == {"freeze": "3c", "budget": 2}
    taken_back = changed({"freeze": "auto"}, committed)
    assert taken_back == {"budget": 2, "freeze": "auto"}
    assert Naming(data="synthetic", changes=taken_back).words() == ("budget=2",)
    again = resolved(put(committed, taken_back)).recipe
    assert again == resolved(put(committed, {"freeze": "auto"})).recipe


def test_a_line_that_was_taken_out_of_the_recipe_is_said_with_the_value_that_decides():
    committed = tiny.shipped()
    values = copy.deepcopy(committed)
    committed["recipes"]["quick"]["train"]["schedule"] = "constant"
    found = changes(resolved(values), committed)
    assert found == {"recipes.quick.train.schedule": "cosine"}
    assert resolved(put(committed, found)).recipe == resolved(values).recipe


@pytest.mark.parametrize(
    ("words", "recipes_own"),
    [
        ({}, {}),
        ({"lr": 1e-4, "freeze": "3c", "budget": 2}, {"lr": 2e-3, "freeze": "3b", "budget": 5}),
        ({"data": "digits", "image_size": 48}, {"data": "synthetic", "image_size": 96}),
        ({"defaults.train.weight_decay": 1e-4}, {"defaults.train.weight_decay": 0.0}),
        ({"recipes.quick.train.label_smoothing": 0.1}, {}),
        (
            {"recipe": "spa_gca", "data": "mit67", "backbone": "resnet18"},
            {"data": "dogs", "backbone": "resnet50"},
        ),
    ],
)
def test_the_recipes_own_values_are_those_that_hold_without_the_changes(words, recipes_own):
    committed = tiny.shipped()
    experiment = resolved(put(committed, words))
    assert own_values(experiment, committed, changes(experiment, committed)) == recipes_own


def test_a_recipe_that_the_commit_lacks_differs_in_defaults_and_options_alone():
    committed = tiny.shipped()
    values = put(committed, {"recipe": "pets", "options.data.synthetic.images_per_class": 6})
    values["recipes"]["pets"] = values["recipes"]["quick"] | {"cite": "Ann's"}
    assert changes(resolved(values), committed) == {"options.data.synthetic.images_per_class": 6}


@pytest.mark.parametrize(("name", "there"), [("quick", True), ("pets", False)])
def test_whether_the_commit_has_the_recipe_is_told(name: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = tiny.shipped()
    values = put(committed, {"recipe": name})
    values["recipes"][name] = values["recipes"]["quick"]
    monkeypatch.setattr(provenance, "committed", lambda _: committed)
    assert naming(resolved(values)).recipe_in_commit == there


@pytest.mark.parametrize("committed", [None, {}, {"recipes": None}, [], {"recipes": {"quick": {}}, "defaults": 1}])
def test_without_a_params_yaml_of_this_kind_in_the_commit_the_axes_are_told(committed):
    if isinstance(committed, dict) and committed.get("recipes"):
        committed = tiny.shipped() | {"defaults": {}}
    assert changes(resolved(tiny.shipped(freeze="3c")), committed)["freeze"] == "3c"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"recipe": "ecsm", "folder": "/home/ann/private/clothing10"}, "clothing10"),
        ({"recipe": "ecsm"}, "own"),
        ({"data": "digits", "folder": "/home/ann/private/clothing10"}, "digits"),
        ({"data": "spiders", "folder": "/home/ann/private/nine"}, "spiders"),
    ],
)
def test_the_data_is_the_last_name_of_the_folder_and_never_the_path(words, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = naming(resolved(put(tiny.shipped(), words)))
    assert found.data == name
    assert "ann" not in found.text()
