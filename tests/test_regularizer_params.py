"""What params.yaml says of regularizers, and of what differs between data sets."""

import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
import tiny
import yaml

from pipeline import params
from pipeline.core.errors import InputError
from pipeline.params import Experiment

METHODS = get_args(params.RegularizerName)
ALPHA = "regularizer.method_options.spa.alpha"


def experiment(paper: str = "spa_gca", changes: Mapping[str, Any] | None = None, **axes: object) -> Experiment:
    return params.check(tiny.recipe(paper, changes, **axes)).experiment()


def refusal(paper: str = "spa_gca", changes: Mapping[str, Any] | None = None, **axes: object) -> str:
    with pytest.raises(InputError) as caught:
        params.check(tiny.recipe(paper, changes, **axes))
    told = str(caught.value)
    assert "\n" not in told
    return told


def test_every_method_is_a_choice_of_every_recipe_that_has_no_phases() -> None:
    papers = [name for name, section in tiny.shipped()["papers"].items() if not section["train"]["phases"]]
    assert len(papers) > 3
    for paper in papers:
        for method in METHODS:
            assert experiment(paper, regularizer=method).settings.regularizer.method == method


@pytest.mark.parametrize("method", METHODS)
def test_every_value_of_a_method_has_an_origin_that_is_a_key_of_the_file(method: str) -> None:
    keys = {name for name, _ in params.flat(tiny.shipped())}
    chosen = experiment(regularizer=method)
    for name, _ in params.flat(chosen.recipe()):
        assert chosen.origin(name) in keys, name


def test_the_weight_decay_of_l2_is_its_own_and_the_others_have_none() -> None:
    found = {method: experiment(regularizer=method).settings.train.weight_decay for method in METHODS}
    assert found == {method: 1e-4 if method in ("l2", "l2_fe") else 0.0 for method in METHODS}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none"}))
def test_the_weight_decay_is_the_recipes_where_the_method_leaves_it_open(method: str) -> None:
    changes = {"train.weight_decay": 0.03, f"regularizer.method_options.{method}.weight_decay": "auto"}
    chosen = experiment(changes=changes, regularizer=method)
    assert chosen.settings.train.weight_decay == 0.03
    assert chosen.origin("train.weight_decay") == "papers.spa_gca.train.weight_decay"


def test_the_origin_of_a_weight_decay_is_where_the_method_says_it() -> None:
    found = experiment(regularizer="l2").origin("train.weight_decay")
    assert found == "papers.spa_gca.regularizer.method_options.l2.weight_decay"


@pytest.mark.parametrize("freeze", ["auto", "1"])
def test_l2_fe_trains_the_head_alone_in_a_budget_of_its_own(freeze: str) -> None:
    chosen = experiment(regularizer="l2_fe", freeze=freeze)
    assert chosen.parts() == (("1", 10, 0.01, "l2_fe", False),)
    assert (chosen.settings.train.budget.unit, chosen.settings.train.schedule) == ("epochs", "exponential")
    assert chosen.origin("network.freeze") == "regularizer"
    assert chosen.origin("train.budget.amount").endswith("l2_fe.budget.amount")


def test_the_budget_and_schedule_of_l2_fe_are_the_recipes_where_it_leaves_them_open() -> None:
    options = {f"regularizer.method_options.l2_fe.{key}": "auto" for key in ("budget", "schedule")}
    train = experiment(changes=options, regularizer="l2_fe").settings.train
    assert (train.budget.unit, train.budget.amount, train.schedule) == ("iterations", 9000, "step")


@pytest.mark.parametrize("amount", [9000, 9001, 2])
def test_halves_are_the_budget_in_two(amount: int) -> None:
    parts = experiment(changes={"train.budget.amount": amount}).parts()
    assert [part.regularizer for part in parts] == ["spa", "gca"]
    assert [part.amount for part in parts] == [amount // 2, amount - amount // 2]
    assert [part.continues for part in parts] == [False, True]


def test_the_order_of_halves_may_be_turned() -> None:
    chosen = experiment(changes={"regularizer.method_options.spa_gca.order": "gca_spa"})
    assert [part.regularizer for part in chosen.parts()] == ["gca", "spa"]
    assert list(chosen.recipe()["regularizer"]["method_options"]) == ["spa_gca", "gca", "spa"]


def test_a_recipe_holds_the_options_of_its_halves_and_of_no_other_method() -> None:
    options = experiment(regularizer="afa").recipe()["regularizer"]["method_options"]
    assert options == {
        "afa": {"weight_decay": 0.0, "order": "ast_act"},
        "ast": {"alpha": 0.1, "beta": 0.01, "normalize": "mean_one"},
        "act": {"alpha": 0.15, "beta": 0.01, "normalize": "mean_one"},
    }
    assert "method_options" not in experiment(regularizer="none").recipe()["regularizer"]


def test_every_phase_has_the_method() -> None:
    parts = experiment("animals", regularizer="gca").parts()
    assert [part.regularizer for part in parts] == ["gca", "gca"]
    assert not any(part.continues for part in parts)


@pytest.mark.parametrize(("data", "alpha", "key"), [("dogs", 0.1, "dogs"), ("cars", 0.01, "default")])
def test_alpha_is_that_of_the_data_set(data: str, alpha: float, key: str) -> None:
    chosen = experiment(data=data)
    assert chosen.recipe()["regularizer"]["method_options"]["spa"]["alpha"] == alpha
    assert chosen.origin(ALPHA) == f"papers.spa_gca.{ALPHA}.{key}"


@pytest.mark.parametrize("data", ["dogs", "cub200"])
def test_a_plain_number_is_alpha_for_all_data_sets(data: str) -> None:
    chosen = experiment(changes={ALPHA: 0.7}, data=data)
    assert chosen.recipe()["regularizer"]["method_options"]["spa"]["alpha"] == 0.7


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"default": 0.1, "dgos": 0.2}, f"{ALPHA}.dgos: 'dgos' is not one of default, synthetic, folder, spiders"),
        ({"dogs": 0.2}, "the strength for data sets that are not named is missing; add default: ..."),
        ({"default": -1}, f"{ALPHA}.default: -1: should be greater than or equal to 0"),
        ("strong", f"{ALPHA}: 'strong': a number is needed"),
        (True, "a number is needed, not true or false"),
    ],
)
def test_strengths_that_are_none_are_refused(given: Any, told: str) -> None:
    assert told in refusal(changes={ALPHA: given})


def test_mit_indoor_has_another_network_and_says_where_that_stands() -> None:
    chosen = experiment(data="mit67")
    assert (chosen.settings.network.backbone, chosen.settings.network.weights) == ("resnet50", "places365")
    assert chosen.origin("network.backbone") == "papers.spa_gca.per_data.mit67.network.backbone"
    assert chosen.origin("network.freeze") == "papers.spa_gca.network.freeze"
    others = experiment(data="cub200").settings.network
    assert (others.backbone, others.weights) == ("resnet101", "imagenet")


def test_an_axis_is_stronger_than_what_differs_for_the_data_set() -> None:
    chosen = experiment(data="mit67", backbone="resnet18")
    assert (chosen.settings.network.backbone, chosen.settings.network.weights) == ("resnet18", "places365")
    assert chosen.origin("network.backbone") == "backbone"


def test_a_plain_strength_may_differ_for_a_data_set() -> None:
    differing = {"mit67": {"regularizer": {"method_options": {"spa": {"alpha": 0.5}}}}}
    chosen = experiment(changes={"per_data": differing}, data="mit67")
    assert chosen.recipe()["regularizer"]["method_options"]["spa"]["alpha"] == 0.5
    assert chosen.origin(ALPHA) == f"papers.spa_gca.per_data.mit67.{ALPHA}"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mit": {}}, "'mit' is not one of synthetic, folder, spiders"),
        ({"mit67": {"netwerk": {}}}, "per_data.mit67: 'netwerk' cannot differ; known: data, network, train, regular"),
        (
            {"mit67": {"network": {"bakbone": "resnet18"}}},
            "unknown key 'per_data.mit67.network.bakbone'; did you mean 'backbone'?",
        ),
        (
            {"mit67": {"network": {"backbone": "resnet19"}}},
            "per_data.mit67.network.backbone: 'resnet19' is not one of resnet18",
        ),
        ({"mit67": {"train": {"lr": "fast"}}}, "per_data.mit67.train.lr: 'fast': a number is needed"),
        ({"mit67": {"data": {"set": "dogs"}}}, "per_data.mit67.data.set: what the difference is for cannot itself"),
        ({"mit67": {"network": None}}, "per_data.mit67.network: None: the keys of this section are needed"),
        ({"mit67": None}, "per_data.mit67: None: the keys of this section are needed"),
        ({"mit67": {"data": 5}}, "per_data.mit67.data: 5: the keys of this section are needed"),
        (None, "papers.spa_gca.per_data: None: the keys of this section are needed"),
    ],
)
def test_differences_that_no_recipe_could_have_are_refused(given: Any, told: str) -> None:
    assert told in refusal(changes={"per_data": given})


def test_differences_are_checked_also_for_data_that_is_not_chosen() -> None:
    wrong = {"per_data": {"mit67": {"train": {"lr": -1}}}}
    assert "per_data.mit67.train.lr: -1" in refusal(changes=wrong, data="cub200")


def test_sizes_that_do_not_fit_each_other_are_told_without_the_whole_section() -> None:
    told = refusal(changes={"per_data": {"mit67": {"data": {"crop_size": 900}}}})
    assert "crop_size: 900 is more than image_size 256" in told
    assert "Value error" not in told
    assert "augmentation_options" not in told


@pytest.mark.parametrize("freeze", ["2", "3b", "scratch", "phases"])
def test_l2_fe_allows_no_other_word_on_what_trains(freeze: str) -> None:
    assert refusal(regularizer="l2_fe", freeze=freeze) == (
        f"params.yaml: freeze: {freeze!r} and regularizer 'l2_fe', which trains the head alone, exclude each other; "
        "leave freeze at auto"
    )


@pytest.mark.parametrize("method", ["l2_fe", "afa", "spa_gca"])
def test_methods_that_divide_the_budget_and_phases_exclude_each_other(method: str) -> None:
    told = refusal("animals", regularizer=method)
    assert f"regularizer: {method!r} and papers.animals.train.phases both say how the training goes on" in told


@pytest.mark.parametrize("method", ["l2_fe", "afa", "spa_gca"])
def test_the_way_out_of_phases_is_one(method: str) -> None:
    told = refusal("animals", regularizer=method)
    assert "-S 'papers.animals.train.phases=[]'" in told
    freeze = re.search(r"-S freeze=(\w+)", told)
    axes = {"freeze": freeze[1]} if freeze else {}
    assert experiment("animals", {"train.phases": []}, regularizer=method, **axes).parts()


def test_a_budget_of_one_cannot_be_halved() -> None:
    told = refusal(changes={"train.budget.amount": 1})
    assert told.endswith("budget.amount: 1 cannot be halved, as regularizer 'spa_gca' needs; give 2 or more")
    assert len(experiment(changes={"train.budget.amount": 1}, regularizer="gca").parts()) == 1


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none", "l2", "l2_fe"}))
def test_nothing_stays_near_where_nothing_is_pre_trained(method: str) -> None:
    told = refusal(regularizer=method, freeze="scratch")
    assert f"freeze: 'scratch' has nothing pre-trained that regularizer {method!r} could stay near" in told


@pytest.mark.parametrize("method", ["none", "l2"])
def test_weight_decay_needs_nothing_pre_trained(method: str) -> None:
    assert experiment(regularizer=method, freeze="scratch").settings.network.freeze == "scratch"


def test_an_unknown_order_lists_the_known_ones() -> None:
    told = refusal(changes={"regularizer.method_options.spa_gca.order": "spa_first"})
    assert told.endswith("spa_gca.order: 'spa_first' is not one of spa_gca, gca_spa")


def test_an_unknown_method_lists_the_known_ones() -> None:
    told = refusal(regularizer="fm")
    assert told == f"params.yaml: regularizer: 'fm' is not one of auto, {', '.join(METHODS)}"


STAGES = yaml.safe_load((tiny.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
READ_THE_RECIPE = sorted(
    name
    for name, stage in STAGES.items()
    if any(str(key).startswith("papers.${paper}.") for key in stage.get("params", ()))
)


@pytest.mark.parametrize("stage", READ_THE_RECIPE)
def test_a_stage_that_reads_a_recipe_is_made_anew_when_the_data_set_changes_what_it_reads(stage: str) -> None:
    """What differs for a data set is in what `validate` writes; `train` tracks the whole recipe."""
    whole = {"data", "papers.${paper}"} <= set(STAGES[stage]["params"])
    assert whole or "data/validated.txt" in STAGES[stage]["deps"]


def test_delta_follows_from_how_its_head_is_trained_too() -> None:
    budget = {"regularizer.method_options.l2_fe.budget": {"unit": "epochs", "amount": 1}}
    assert experiment(regularizer="delta").recipe() != experiment(changes=budget, regularizer="delta").recipe()
    assert experiment(regularizer="gca").recipe() == experiment(changes=budget, regularizer="gca").recipe()
