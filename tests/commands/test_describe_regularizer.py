"""What `orbweaver describe` says of regularizers, from the recipes as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pipeline
from pipeline.commands import orbweaver, outlook
from pipeline.commands.describe import as_text, describe, read
from pipeline.core.errors import InputError

ROOT = Path(pipeline.__file__).parents[1]
OPTIONS = "recipes.spa_gca.options.regularizer"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def found(*words: str, recipe: str = "spa_gca", classes: int = 120) -> dict[str, Any]:
    return describe(read([f"recipe={recipe}", *words]), classes)


SMALL = ("backbone=resnet18", "recipes.spa_gca.data.image_size=64", "recipes.spa_gca.data.crop_size=64")
LAYERS = [f"layer{number}.1.conv2" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(("reduction", "own"), [(4, 7_377_600), (8, 3_690_720), (16, 1_847_280), (32, 925_560)])
def test_gca_on_resnet101_has_the_parameters_of_table_2(reduction: int, own: int) -> None:
    counted = found("regularizer=gca", f"{OPTIONS}.gca.reduction={reduction}")["parameters"]
    assert counted["regularizer"] == own
    assert counted["trainable"] == 42_500_160 + 2048 * 120 + 120


def test_spa_at_224_has_the_parameters_of_a_first_layer_without_bias() -> None:
    told = found("regularizer=spa", "backbone=resnet18")
    assert told["parameters"]["regularizer"] == 405_475
    # FC_SPA: HW -> H without bias, H -> HW with.
    sides = (56, 28, 14, 7)
    assert sum(2 * h**3 + h**2 for h in sides) == 405_475


def test_both_halves_count_with_json_from_the_command_itself() -> None:
    words = [part for word in ("recipe=spa_gca", "backbone=resnet50") for part in ("-S", word)]
    told = json.loads(CliRunner().invoke(orbweaver, ["describe", *words, "--classes", "9", "--json"]).output)
    assert told["parameters"]["regularizer"] == 405_475 + 7_377_600
    assert [(p["regularizer"], p["amount"]) for p in told["phases"]] == [("spa", 4500), ("gca", 4500)]
    assert told["phases"][1]["hooked_layers"] == [
        "layer1.2.conv3",
        "layer2.3.conv3",
        "layer3.5.conv3",
        "layer4.2.conv3",
    ]


@pytest.mark.parametrize("method", ["none", "l2", "l2_fe", "l2_sp", "delta"])
def test_methods_that_learn_nothing_have_no_parameters(method: str) -> None:
    assert found(f"regularizer={method}", *SMALL)["parameters"]["regularizer"] == 0


def test_what_a_regularizer_learns_is_not_in_what_trains() -> None:
    with_and_without = [found(f"regularizer={method}", *SMALL)["parameters"] for method in ("none", "gca")]
    assert with_and_without[0]["trainable"] == with_and_without[1]["trainable"]
    assert with_and_without[0]["frozen"] == with_and_without[1]["frozen"]


@pytest.mark.parametrize(("freeze", "idle"), [("2", 0), ("3b", 2), ("1", 4)])
def test_idle_taps_are_told_in_json_and_text(freeze: str, idle: int) -> None:
    told = found("regularizer=gca", f"freeze={freeze}", *SMALL)
    [part] = told["phases"]
    assert (part["hooked_layers"], part["idle_layers"]) == (LAYERS[idle:], LAYERS[:idle])
    frozen = f"; frozen, so left out: {', '.join(LAYERS[:idle])}" if idle else ""
    assert f"    compares {', '.join(LAYERS[idle:]) or 'nothing'}{frozen}\n" in as_text(told)


def test_attention_in_frozen_blocks_makes_their_taps_count() -> None:
    [part] = found("regularizer=gca", "freeze=1", "attention=ca", *SMALL)["phases"]
    assert (part["hooked_layers"], part["idle_layers"]) == (LAYERS, [])


def test_the_text_tells_each_half_with_its_size() -> None:
    told = as_text(found(*SMALL))
    own = sum(2 * h**3 + h**2 for h in (16, 8, 4, 2))
    assert f"  regularizer spa, amount 4500: {own:,} parameters of its own\n" in told
    assert "  regularizer gca, amount 4500: 462,000 parameters of its own\n" in told
    assert "phase 1" not in told


def test_a_method_without_maps_is_told_among_the_values_alone() -> None:
    told = found("regularizer=l2_sp", *SMALL)
    assert "hooked_layers" not in told["phases"][0]
    assert "compares" not in as_text(told)
    assert told["settings"]["options.regularizer.l2_sp.covers"]["value"] == "all"


def test_l2_sp_holds_kernels_as_its_authors_do_but_in_the_recipe_that_compares_it_with_delta() -> None:
    covers = [
        found("regularizer=l2_sp", recipe=recipe, classes=3)["settings"]["options.regularizer.l2_sp.covers"]
        for recipe in ("quick", "spa_gca")
    ]
    assert [(one["value"], one["from"]) for one in covers] == [
        ("kernels", "options.regularizer.l2_sp.covers"),
        ("all", f"{OPTIONS}.l2_sp.covers"),
    ]


def test_phases_with_a_method_are_told_as_phases() -> None:
    told = as_text(found("regularizer=gca", recipe="animals", classes=10))
    assert "phase 2: freeze features.12" in told
    assert "compares nothing; frozen, so left out: features.5.conv.2" in told
    assert "compares features.13.conv.2, features.17.conv.2; frozen, so left out: features.5.conv.2" in told


def test_what_differs_for_a_data_set_is_told_with_the_key_it_came_from() -> None:
    settings = found("data=mit67", "regularizer=l2", classes=67)["settings"]
    shown = {name: (one["value"], one["from"]) for name, one in settings.items()}
    assert shown["network.backbone"] == ("resnet50", "recipes.spa_gca.per_data.mit67.network.backbone")
    assert settings["network.weights"]["value"] == "places365"
    assert shown["data.set"] == ("mit67", "data")


def test_a_strength_is_told_with_the_data_set_it_is_for() -> None:
    for data, key, value in (("dogs", "dogs", 0.1), ("cars", "default", 0.01)):
        settings = found(f"data={data}", *SMALL)["settings"]
        alpha = settings["options.regularizer.spa.alpha"]
        assert (alpha["value"], alpha["from"]) == (value, f"{OPTIONS}.spa.alpha.{key}")


def test_a_strength_may_be_put_in_as_a_plain_number() -> None:
    settings = found(f"{OPTIONS}.spa.alpha=0.3", "regularizer=spa", *SMALL)["settings"]
    assert settings["options.regularizer.spa.alpha"]["value"] == 0.3


def test_the_weight_decay_of_a_method_is_told_with_the_key_it_came_from() -> None:
    settings = found("regularizer=l2", *SMALL)["settings"]
    decay = settings["train.weight_decay"]
    assert (decay["value"], decay["from"]) == (1e-4, f"{OPTIONS}.l2.weight_decay")


def test_tokens_are_refused_in_one_line() -> None:
    with pytest.raises(
        InputError, match=r"^regularizer 'ast' needs feature maps \(C, H, W\), and .*; use l2 or l2_sp$"
    ):
        found("regularizer=ast", "backbone=vit_b_16")


def test_a_reduction_that_leaves_nothing_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"^regularizer 'gca': reduction 961 is out of range for 960 channels"):
        found("regularizer=gca", f"{OPTIONS}.gca.reduction=961", *SMALL)


def test_the_number_of_classes_of_a_set_that_is_not_a_folder_is_not_looked_for_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A step of this one takes seconds, and the measurement so much longer; see test_outlook.py.
    monkeypatch.setattr(outlook, "measured", lambda *_: [])
    told = CliRunner().invoke(orbweaver, ["describe", "-S", "recipe=spa_gca"])
    assert "folder" not in str(told.exception or "")
