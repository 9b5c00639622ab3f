"""The words behind `-S` by DVC's own grammar, on params.yaml as it is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
from dvc.utils.hydra import apply_overrides

from pipeline import config
from pipeline.core.errors import InputError
from pipeline.preview.overriding import read, read_each

RECIPES = list(tiny.shipped()["recipes"])


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)


@pytest.mark.parametrize("word", ["lr=1e-4", "lr=0.0001", "lr=1e-04"])
def test_one_word_sets_the_rate_of_every_recipe(word: str) -> None:
    resolved = read_each([f"recipe={name}", word] for name in RECIPES)
    recipes = [one.recipe for one in resolved]
    assert [recipe.recipe for recipe in recipes] == RECIPES
    assert len(recipes) == 7
    assert {(recipe.train.lr, recipe.train.phases[0].lr) for recipe in recipes} == {(1e-4, 1e-4)}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_states_what_is_changed_most_so_that_one_recipe_alone_can_be_changed(name: str) -> None:
    place = f"recipes.{name}"
    words = [f"{place}.train.batch_size=7", f"{place}.data.image_size=288", f"{place}.network.head=linear"]
    words += [f"{place}.data.set=digits", f"{place}.network.backbone=resnet18", f"{place}.network.freeze=2"]
    words += [f"{place}.train.budget.amount=12", f"{place}.train.lr=1e-5", f"{place}.network.weights=imagenet"]
    recipe = read([f"recipe={name}", *words]).recipe
    assert (recipe.train.batch_size, recipe.data.image_size, recipe.network.head) == (7, 288, "linear")
    assert (recipe.data.set, recipe.network.backbone, recipe.network.freeze) == ("digits", "resnet18", "2")
    assert (recipe.train.budget.amount, recipe.train.lr) == (12, 1e-5)


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        ("recipes.quick.data.on_leak=drop", "defaults.data.on_leak=drop"),
        ("recipes.ecsm.train.lr_factors.backbone=0.1", "defaults.train.lr_factors.backbone=0.1"),
        ("recipes.ecsm.options.attention.ecsm.reduction=4", "options.attention.ecsm.reduction=4"),
        (
            "recipes.quick.data.split.per_class={train:20,test:50,val:0}",
            "defaults.data.split.per_class={train:20,test:50,val:0}",
        ),
    ],
)
def test_a_key_that_a_recipe_does_not_state_is_refused_with_the_word_that_sets_it(word: str, instead: str) -> None:
    recipe, name = re.findall(r"^recipes\.(\w+)\.([\w.]+)=", word)[0]
    with pytest.raises(InputError) as caught:
        read([f"recipe={recipe}", word])
    wanted = f"; the recipe {recipe} does not state {name}; set it for all that do not with -S {instead}"
    assert str(caught.value).endswith(wanted)
    assert "\n" not in str(caught.value)
    before, after = read_each([[f"recipe={recipe}"], [f"recipe={recipe}", instead]])
    assert before.layers.get(name) != after.layers.get(name)


def test_such_a_key_may_be_added_to_the_recipe_with_a_plus() -> None:
    resolved = read(["+recipes.quick.data.on_leak=drop"])
    assert (resolved.recipe.data.on_leak, resolved.origin("data.on_leak")) == ("drop", "recipes.quick.data.on_leak")


@pytest.mark.parametrize("word", ["recipes.quick.train.lrr=1", "recipes.nobody.train.lr=1", "trian.lr=1"])
def test_a_key_that_is_nowhere_is_refused_without_a_guess(word: str) -> None:
    with pytest.raises(InputError, match=r"; the keys are those of params\.yaml$"):
        read([word])


def test_the_file_itself_is_left_as_it_is() -> None:
    before = Path("params.yaml").read_bytes()
    read(["lr=1e-4"])
    assert Path("params.yaml").read_bytes() == before


SWEPT = [
    [],
    ["lr=1e-4"],
    ["lr=0.001", "repeats=[1,2]", "mlflow.images=true"],
    ["options.attention.se.reduction=8", "attention=se"],
    ["recipe=modern", "recipes.modern.train.layer_decay=1.0", "recipes.modern.train.mixup=0"],
    ["+recipes.quick.data.on_leak=drop", "++defaults.train.lr=3"],
    ["~recipes.modern", "freeze=3b"],
    ["lr=${recipes.ecsm.train.lr}", "recipe=ecsm"],
    ["folder=/a/b.c", "data=folder", "recipes.ecsm.data={set: digits}"],
    ["lr=0.0002", "lr=0.0003"],
]


def test_each_of_many_cells_is_as_dvc_makes_it_of_the_whole_file(tmp_path: Path) -> None:
    for cell, words in zip(read_each(SWEPT), SWEPT, strict=True):
        wanted = changed_by_dvc(words, tmp_path / "params.json")
        assert json.dumps(cell.settings.values) == json.dumps(wanted), words
        assert cell.recipe == config.resolve(config.check(wanted)).recipe, words


def changed_by_dvc(words: list[str], copy: Path) -> Any:
    copy.write_text(json.dumps(config.read()), encoding="utf-8")
    apply_overrides(copy, words)
    return json.loads(copy.read_text(encoding="utf-8"))


def test_the_recipes_of_a_cell_are_checked_where_its_words_change_them() -> None:
    wrong = "recipes.csca.train.batch_size=0"
    cells = read_each([["lr=1e-4"], ["lr=1e-3"], ["lr=1e-3", wrong]])
    assert [next(cells).recipe.train.lr for _ in range(2)] == [1e-4, 1e-3]
    with pytest.raises(InputError, match=r"recipes\.csca\.train\.batch_size"):
        next(cells)
