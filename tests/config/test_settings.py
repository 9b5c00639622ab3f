"""What params.yaml may hold, and the line that refuses what it may not."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import tiny

from pipeline import config
from pipeline.config.choices import FAMILIES, TABLES
from pipeline.core.errors import InputError
from pipeline.core.files import flat

STATED = (
    "data.set",
    "data.image_size",
    "network.backbone",
    "network.freeze",
    "network.head",
    "train.budget.unit",
    "train.budget.amount",
    "train.batch_size",
    "train.lr",
)


def changed(key: str, value: Any) -> dict[str, Any]:
    values = tiny.shipped()
    *above, last = key.split(".")
    place = values
    for part in above:
        place = place[part] if part in place else place.setdefault(part, {})
    place[last] = value
    return values


def message(key: str, value: Any) -> str:
    with pytest.raises(InputError) as caught:
        config.check(changed(key, value))
    return str(caught.value)


def test_the_file_in_the_project_is_valid_and_every_recipe_resolves() -> None:
    recipes = tiny.shipped()["recipes"]
    assert set(recipes) == {"quick", "modern", "ecsm", "csca", "spa_gca", "hierarchical", "animals"}
    for name in recipes:
        assert config.resolve(config.check(changed("recipe", name))).recipe.recipe == name


@pytest.mark.parametrize("name", sorted(tiny.shipped()["recipes"]))
def test_every_recipe_states_what_is_changed_most(name: str) -> None:
    stated = {key for key, _ in flat(tiny.shipped()["recipes"][name])}
    assert set(STATED) <= stated
    assert "cite" in stated


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_options_of_every_choice_that_has_some_are_in_the_file_and_no_others(family: str) -> None:
    rows = {name for name, row in TABLES[FAMILIES[family]].items() if row.options}
    assert set(tiny.shipped()["options"][family]) == rows


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("frez", "3c", "params.yaml: unknown key 'frez'; did you mean 'freeze'?"),
        ("recipes.ecsm.train.momentums", 1, "unknown key 'recipes.ecsm.train.momentums'; known here: budget, batch_"),
        ("recipes.ecsm.trian", {"lr": 1}, "unknown key 'recipes.ecsm.trian'; did you mean 'train'?"),
        ("recipes.quick.options.head.mlp1024.drop", 1, "'recipes.quick.options.head.mlp1024.drop'; did you mean 'dro"),
        ("options.head.mlp1024.drop", 1, "unknown key 'options.head.mlp1024.drop'; did you mean 'dropout'?"),
        ("options.head.mpl1024", {}, "unknown key 'options.head.mpl1024'; did you mean 'mlp1024'?"),
        ("options.data.synthetic.sise", 1, "unknown key 'options.data.synthetic.sise'; did you mean 'size'?"),
        ("defaults.train.lrr", 1, "unknown key 'defaults.train.lrr'; did you mean 'lr'?"),
        (
            "freeze",
            "bad",
            "freeze: 'bad' is not one of auto, 1, 2, 3a, 3b, 3c, lora, bitfit, scratch, lp_ft, probe, phases",
        ),
        ("freeze", True, "freeze: True: text is needed"),
        ("data", "imagenet", "data: 'imagenet' is not one of auto, "),
        ("weights", None, "weights: empty: text is needed"),
        ("weights", "nowhere", "weights: 'nowhere' is not one of auto, bundled, imagenet, places365, timm, file, none"),
        ("attention", "senet", "attention: 'senet' is not one of auto, none, se, eca, spatial, cbam, self, ecsm, ca"),
        (
            "regularizer",
            "fm",
            "regularizer: 'fm' is not one of auto, none, l2, l2_fe, l2_sp, delta, ast, act, afa, spa",
        ),
        ("head", "stock", "head: 'stock' is not one of auto, mlp1024, linear, conv1x1, torchvision"),
        ("augmentation", "crop256", "'crop256' is not one of auto, none, flip, csca, hierarchical, animals"),
        ("lr", 0, "lr: 0: should be greater than 0"),
        ("lr", "fast", "lr: 'fast': a number is needed"),
        ("batch_size", 1.5, "batch_size: 1.5: a whole number is needed"),
        ("budget", 0, "budget: 0: should be greater than or equal to 1"),
        ("image_size", 8, "image_size: 8: should be greater than or equal to 16"),
        ("recipes.quick.train.optimizer", "sdg", "recipes.quick.train.optimizer: 'sdg' is not one of adam, adamw, sgd"),
        ("recipes.quick.train.lr", "fast", "recipes.quick.train.lr: 'fast': a number is needed"),
        ("recipes.quick.train.lr", True, "a number is needed, not true or false"),
        ("recipes.quick.train.lr", math.nan, "recipes.quick.train.lr: nan: a finite number is needed"),
        ("recipes.quick.train.lr", -1, "recipes.quick.train.lr: -1: should be greater than 0"),
        ("recipes.quick.train.batch_size", 2.5, "recipes.quick.train.batch_size: 2.5: a whole number is needed"),
        ("recipes.quick.train.budget.amount", 0, "recipes.quick.train.budget.amount: 0: "),
        ("defaults.data.split.test", 1.0, "defaults.data.split.test: 1.0: should be less than 1"),
        ("recipes.quick.data.image_size", 8, "recipes.quick.data.image_size: 8: "),
        (
            "defaults.data.interpolation",
            "cubic",
            "defaults.data.interpolation: 'cubic' is not one of auto, bilinear, bicubic",
        ),
        (
            "recipes.quick.data.input_size",
            24,
            "recipes.quick.data.input_size: 24: should be greater than or equal to 32",
        ),
        ("recipes.quick.train", None, "recipes.quick.train: empty: the keys of this section are needed"),
        ("recipes.quick.data", 5, "recipes.quick.data: 5: the keys of this section are needed"),
        ("recipes.quick", None, "recipes.quick: empty: the keys of this section are needed"),
        ("repeats", 1, "repeats: 1: a list is needed, such as [1]"),
        ("repeats", [], "repeats: []: needs at least one entry"),
        ("repeats", [1, 1], "repeats: [1, 1] has a number twice; each repeat needs its own"),
        ("recipe", "unwritten", "recipe: 'unwritten' is not one of quick, ecsm"),
        ("device", "gpu", "device: 'gpu': is not one of auto, cuda"),
        ("threads", 0, "threads: 0: "),
        ("defaults.train.precision", "float32", "precision: 'float32' is not one of fp32, tf32, bf16"),
        ("folder", "/a\nb", "folder: '/a\\nb': it has '\\n', which cannot be seen; rename it"),
        ("archive", "/sets/${x}", "archive: '/sets/${x}': DVC would put a value in place of its '${'; rename it"),
        ("options.attention.sa.kernel_size", 4, "options.attention.sa.kernel_size: 4: an odd number is needed"),
        ("options.attention.se.position", "head", "is not one of every_stage, residual_block, last_stage"),
        ("options.attention.se.gate_init", "zero", "is not one of paper, identity"),
        ("options.attention.csca.mode", "both", "is not one of joint, sequential"),
        ("options.regularizer.spa_gca.order", "spa_first", "spa_gca.order: 'spa_first' is not one of spa_gca, gca_spa"),
        (
            "options.regularizer.l2_fe.schedule",
            "slow",
            "options.regularizer.l2_fe.schedule: 'slow' is not one of auto, c",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_key_and_value(key: str, value: Any, expected: str) -> None:
    line = message(key, value)
    assert expected in line
    assert "\n" not in line


@pytest.mark.parametrize("key", ["defaults.train.lr", "options.attention.se.reduction", "threads", "options.head"])
def test_a_missing_key_is_named(key: str) -> None:
    values = tiny.shipped()
    *above, last = key.split(".")
    place = values
    for part in above:
        place = place[part]
    del place[last]
    with pytest.raises(InputError, match=re.escape(f"key {key!r} is missing")):
        config.check(values)


def test_nesterov_without_momentum_is_refused() -> None:
    options = {"momentum": 0.0, "nesterov": True}
    assert "options.optimizer.sgd: nesterov needs a momentum above 0" in message("options.optimizer.sgd", options)


@pytest.mark.parametrize("name", ["scratch", "lp_ft", "probe", "phases"])
def test_a_phase_freezes_something_definite(name: str) -> None:
    phase = {"freeze": name, "amount": 50, "lr": 1e-3}
    line = message("recipes.animals.train.phases", [phase])
    assert f"recipes.animals.train.phases.0.freeze: {name!r}: this is for a whole training" in line


def test_a_misspelt_key_is_named_before_the_one_that_is_missing_by_it() -> None:
    values = tiny.shipped()
    values = {"batchsize" if key == "batch_size" else key: value for key, value in values.items()}
    line = "unknown key 'batchsize'; did you mean 'batch_size'? (and 1 more)"
    with pytest.raises(InputError, match=re.escape(line)):
        config.check(values)


def test_a_value_that_is_left_blank_is_called_empty() -> None:
    assert message("lr", None).startswith("params.yaml: lr: empty: a number is needed")


def test_several_mistakes_are_counted() -> None:
    values = changed("freeze", "bad") | {"device": "gpu"}
    with pytest.raises(InputError, match=r"\(and 1 more\)$"):
        config.check(values)


@pytest.mark.parametrize("key", ["recipes.quick.data.input_size", "defaults.data.crop_size", "threads", "budget"])
def test_one_mistake_is_counted_once_also_where_a_word_would_do(key: str) -> None:
    assert "more)" not in message(key, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"train": 1, "test": 1, "val": 0, "foo": 1}, "unknown key 'PLACE.foo'; known here: train, test, val"),
        ({"train": 1, "test": 1}, "key 'PLACE.val' is missing; add it"),
        ({"train": -1, "test": 1, "val": 0}, "PLACE.train: -1: should be greater than or equal to 0"),
        ("foo", "PLACE: 'foo' is not one of auto, none"),
    ],
)
def test_what_is_a_word_or_a_section_is_told_by_its_own_keys(value: object, expected: str) -> None:
    place = "defaults.data.split.per_class"
    assert message(place, value) == f"params.yaml: {expected}".replace("PLACE", place)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"default": 0.1, "dgos": 0.2}, "unknown key 'PLACE.dgos'; did you mean 'dogs'?"),
        ({"dogs": 0.2}, "the value for data sets without one of their own is missing; add default: ..."),
        ({"default": -1}, "PLACE.default: -1: should be greater than or equal to 0"),
        ("strong", "PLACE: 'strong': a number is needed"),
        (True, "a number is needed, not true or false"),
    ],
)
def test_strengths_that_are_none_are_refused(value: Any, expected: str) -> None:
    place = "options.regularizer.l2_sp.alpha"
    assert expected.replace("PLACE", place) in message(place, value)


PER_DATA = "recipes.spa_gca.per_data"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"mit": {}}, "'mit' is not one of synthetic, folder, spiders"),
        (
            {"mit67": {"netwerk": {}}},
            "PLACE.mit67: 'netwerk' cannot be set per data set; known here: data, network, train, regular",
        ),
        (
            {"mit67": {"network": {"bakbone": "resnet18"}}},
            "unknown key 'PLACE.mit67.network.bakbone'; did you mean 'ba",
        ),
        (
            {"mit67": {"network": {"backbone": "resnet19"}}},
            "PLACE.mit67.network.backbone: 'resnet19' is not one of resn",
        ),
        ({"mit67": {"train": {"lr": "fast"}}}, "PLACE.mit67.train.lr: 'fast': a number is needed"),
        ({"mit67": {"data": {"set": "dogs"}}}, "PLACE.mit67.data.set: cannot be set per data set; remove it"),
        ({"mit67": {"network": None}}, "PLACE.mit67.network: empty: the keys of this section are needed"),
        ({"mit67": None}, "PLACE.mit67: empty: the keys of this section are needed"),
        ({"mit67": {"data": 5}}, "PLACE.mit67.data: 5: the keys of this section are needed"),
        (None, "PLACE: empty: the keys of this section are needed"),
    ],
)
def test_differences_that_no_recipe_could_have_are_refused(value: Any, expected: str) -> None:
    assert expected.replace("PLACE", PER_DATA) in message(PER_DATA, value)


def test_differences_are_checked_also_for_data_that_is_not_chosen() -> None:
    values = changed(PER_DATA, {"mit67": {"train": {"lr": -1}}}) | {"recipe": "spa_gca", "data": "cub200"}
    with pytest.raises(InputError, match=r"per_data\.mit67\.train\.lr: -1"):
        config.check(values)


def test_text_that_is_not_yaml_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("recipe: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"params\.yaml: not YAML"):
        config.load(file)
    file.write_text("just text", encoding="utf-8")
    with pytest.raises(InputError, match=r"a mapping of keys is needed, not str; `git restore params\.yaml` restores"):
        config.load(file)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; run this in the project's root"):
        config.load(tmp_path / "params.yaml")


def test_a_rate_that_dvc_writes_without_a_dot_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(tiny.FILE.read_text(encoding="utf-8").replace("\nlr: auto ", "\nlr: 1e-05 "), encoding="utf-8")
    assert config.resolve(config.load(file)).recipe.train.lr == 1e-5
