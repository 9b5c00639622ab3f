"""From params.yaml to one recipe: which value wins, what follows from it, and what excludes what."""

from collections.abc import Mapping
from typing import Any

import pytest
import tiny

from pipeline import config
from pipeline.config import Resolved
from pipeline.config.choices import AXES, TABLES
from pipeline.config.scaling import shares
from pipeline.core.errors import InputError
from pipeline.core.files import flat
from pipeline.core.recipe import Recipe

RECIPES = sorted(tiny.shipped()["recipes"])
METHODS = tuple(TABLES["regularizer.method"])
ALPHA = "options.regularizer.spa.alpha"


def resolved(name: str = "spa_gca", changes: Mapping[str, Any] | None = None, **axes: object) -> Resolved:
    return config.resolve(config.check(tiny.recipe(name, changes, **axes)))


def experiment(name: str = "spa_gca", changes: Mapping[str, Any] | None = None, **axes: object) -> Recipe:
    return resolved(name, changes, **axes).recipe


def refusal(name: str = "spa_gca", changes: Mapping[str, Any] | None = None, **axes: object) -> str:
    with pytest.raises(InputError) as caught:
        resolved(name, changes, **axes)
    line = str(caught.value)
    assert "\n" not in line
    return line


def phases(recipe: Recipe) -> list[tuple[str, int, float, str, bool]]:
    return [(one.freeze, one.amount, one.lr, one.regularizer, one.continues) for one in recipe.train.phases]


@pytest.mark.parametrize("name", RECIPES)
def test_a_value_is_the_recipes_else_the_defaults(name: str) -> None:
    values, one = tiny.shipped(), resolved(name, regularizer="none")
    stated, defaults = dict(flat(values["recipes"][name])), dict(flat(values["defaults"]))
    for key, value in flat(one.recipe.model_dump(include={"data", "network", "train"})):
        is_stated = any(f"{key}.".startswith(f"{known}.") for known in stated)
        written = stated.get(key, defaults.get(key))
        if key in ("data.mean", "data.std"):
            # They follow from the backbone.
            assert one.origin(key) == one.origin("network.backbone")
            continue
        assert one.origin(key) == (f"recipes.{name}.{key}" if is_stated else f"defaults.{key}")
        if written not in (None, "auto") and key != "train.phases":
            assert value == type(value)(written), key


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_is_left_open_but_what_each_machine_decides(name: str) -> None:
    left = {key for key, value in flat(experiment(name).model_dump()) if value == "auto"}
    assert left == {"device", "threads"}


@pytest.mark.parametrize("value", [1, "1"])
def test_strategy_1_may_be_written_as_a_number_or_as_text(value: object) -> None:
    assert experiment("quick", freeze=value).network.freeze == "1"


AXIS_VALUES = {
    "data": "digits",
    "backbone": "resnet34",
    "weights": "none",
    "freeze": "3c",
    "attention": "se",
    "regularizer": "l2",
    "head": "conv1x1",
    "image_size": 160,
    "augmentation": "flip",
    "lr": 1e-4,
    "batch_size": 7,
    "budget": 12,
}


@pytest.mark.parametrize("axis", sorted(AXES))
@pytest.mark.parametrize("name", RECIPES)
def test_an_axis_wins_in_every_recipe_and_is_the_origin(name: str, axis: str) -> None:
    # Not every network has the weights of every recipe.
    others = {"weights": "none"} if axis == "backbone" else {}
    one = resolved(name, **{axis: AXIS_VALUES[axis]}, **others)
    section, *keys = AXES[axis].split(".")
    value: Any = getattr(one.recipe, section)
    for key in keys:
        value = getattr(value, key)
    assert value == AXIS_VALUES[axis]
    assert one.origin(AXES[axis]) == axis


def test_every_axis_of_the_file_that_is_of_a_recipe_is_tried() -> None:
    beside = {
        "recipe",
        "folder",
        "archive",
        "weights_file",
        "repeats",
        "device",
        "threads",
        "cpu_instructions",
        "checkpoint_every",
        "mlflow",
    }
    assert set(AXIS_VALUES) == set(AXES) == set(tiny.shipped()) - beside - {"defaults", "options", "recipes"}


@pytest.mark.parametrize("name", RECIPES)
def test_auto_and_the_same_value_spelt_out_give_one_recipe(name: str) -> None:
    plain = experiment(name)
    for axis, key in AXES.items():
        section, *keys = key.split(".")
        value: Any = getattr(plain, section)
        for part in keys:
            value = getattr(value, part)
        assert experiment(name, **{axis: value}) == plain, axis


def test_options_of_choices_not_made_are_not_part_of_a_recipe() -> None:
    options = experiment("quick", attention="se").options
    assert options["optimizer"] == {"adam": {"beta1": 0.9, "beta2": 0.999}}
    assert options["attention"] == {"se": {"position": "every_stage", "gate_init": "paper", "reduction": 16}}
    assert experiment("quick").options["attention"] == {}
    assert experiment("quick").options["regularizer"] == {}


def test_options_of_the_recipe_are_stronger_than_those_of_all() -> None:
    one = resolved("quick", {"options.attention.se.reduction": 4}, attention="se")
    assert one.recipe.options_of("attention")["reduction"] == 4
    assert one.origin("options.attention.se.reduction") == "recipes.quick.options.attention.se.reduction"
    assert one.origin("options.attention.se.gate_init") == "options.attention.se.gate_init"


def test_a_rate_scales_that_of_every_phase() -> None:
    assert [phase.lr for phase in experiment("animals").train.phases] == [1e-3, 1e-5]
    recipe = experiment("animals", lr=1e-2)
    assert recipe.train.lr == 1e-2
    assert [phase.lr for phase in recipe.train.phases] == pytest.approx([1e-2, 1e-4])


def test_a_budget_is_divided_as_the_phases_are() -> None:
    recipe = experiment("animals", budget=5)
    assert [phase.amount for phase in recipe.train.phases] == [1, 4]
    assert recipe.train.budget.amount == 5
    assert "budget: 1 is too small for 2 phases; give at least 2" in refusal("animals", budget=1)


@pytest.mark.parametrize("total", range(3, 40))
def test_shares_add_up_and_no_phase_is_lost(total: int) -> None:
    amounts = shares([1, 10, 39], total)
    assert sum(amounts) == total
    assert min(amounts) >= 1
    assert amounts == sorted(amounts)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("ecsm", 64, (64, 64, 0, 64)),
        ("spa_gca", 128, (128, 112, 0, 112)),
        ("hierarchical", 64, (64, 64, 8, 224)),
    ],
)
def test_an_image_size_scales_crop_and_padding(name: str, size: int, expected: tuple[int, int, int, int]) -> None:
    data = experiment(name, image_size=size).data
    assert (data.image_size, data.crop_size, data.crop_padding, data.input_size) == expected


def test_sizes_follow_one_another_where_they_are_left_open() -> None:
    assert experiment("quick").data.sizes == (96, 96, 96)
    assert experiment("hierarchical").data.sizes == (32, 32, 224)
    assert experiment("quick", {"data.crop_size": 48}).data.sizes == (96, 48, 48)


@pytest.mark.parametrize("augmentation", [name for name in TABLES["data.augmentation"] if name != "auto"])
def test_no_augmentation_says_where_to_crop(augmentation: str) -> None:
    changes = {"data.image_size": 256}
    assert experiment("quick", changes, augmentation=augmentation).data.sizes == (256, 256, 256)
    assert experiment("quick", changes | {"data.crop_size": 224}, augmentation=augmentation).data.sizes.crop == 224


def test_sizes_that_do_not_fit_each_other_are_told_with_their_key() -> None:
    line = refusal("quick", {"data.crop_size": 100})
    assert "recipes.quick.data.crop_size: crop_size 100 is more than image_size 96 with crop_padding 0" in line
    assert "input_size: 24" in refusal("quick", {"data.image_size": 24})


def test_what_is_published_of_a_set_decides_where_it_is_left_open() -> None:
    assert experiment("quick").data.on_leak == "refuse"
    assert experiment("csca").data.on_leak == "allow"
    assert experiment("csca", {"data.on_leak": "drop"}).data.on_leak == "drop"
    assert experiment("quick").data.split.per_class == "none"
    drawn = experiment("spa_gca", data="caltech256_30").data.split.per_class
    assert not isinstance(drawn, str)
    assert drawn.model_dump() == {"train": 30, "test": 20, "val": 0}


def test_scratch_is_everything_without_pre_trained_weights() -> None:
    one = resolved("quick", freeze="scratch")
    assert (one.recipe.network.freeze, one.recipe.network.weights) == ("2", "none")
    assert one.origin("network.weights") == "freeze"
    assert one.recipe.train.phases[0].freeze == "2"


def test_one_phase_is_what_a_recipe_without_phases_has() -> None:
    assert phases(experiment("quick")) == [("3b", 5, 2e-3, "none", False)]


def test_a_strategy_takes_the_place_of_phases() -> None:
    assert phases(experiment("animals", freeze="3b")) == [("3b", 50, 1e-3, "none", False)]


def test_phases_without_phases_are_refused() -> None:
    assert "freeze: 'phases' needs phases, and defaults.train.phases is empty" in refusal("quick", freeze="phases")


@pytest.mark.parametrize("amount", [4, 60])
def test_a_budget_that_is_not_the_sum_of_its_phases_is_refused(amount: int) -> None:
    line = refusal("animals", {"train.budget.amount": amount})
    assert f"recipes.animals.train.budget.amount: {amount} is not the sum of its phases' [10, 40]" in line
    assert f"scale all with -S budget={amount}" in line
    assert sum(phase.amount for phase in experiment("animals", budget=amount).train.phases) == amount


def test_an_axis_decides_where_phases_and_recipe_differ() -> None:
    changes = {"train.phases": [{"freeze": 1, "amount": 2, "lr": 0.1}, {"freeze": "3b", "amount": 6, "lr": 0.01}]}
    recipe = experiment("quick", changes, freeze="phases", lr=0.001, budget=4)
    assert [(phase.amount, phase.lr) for phase in recipe.train.phases] == [(1, 0.001), (3, pytest.approx(0.0001))]


def test_a_rate_that_is_not_the_first_phases_is_refused() -> None:
    line = refusal("animals", {"train.lr": 0.5})
    assert "recipes.animals.train.lr: 0.5 is not the first phase's 0.001; scale all with -S lr=0.5, or set both" in line


def test_every_method_is_a_choice_of_every_recipe_that_has_no_phases() -> None:
    names = [name for name in RECIPES if name != "animals"]
    assert len(names) > 3
    for name in names:
        for method in METHODS:
            assert experiment(name, regularizer=method).regularizer.method == method


@pytest.mark.parametrize("method", METHODS)
def test_every_value_of_a_method_has_an_origin_that_is_a_key_of_the_file(method: str) -> None:
    keys = {name for name, _ in flat(tiny.shipped())}
    one = resolved(regularizer=method)
    for name, _ in flat(one.recipe.settings().model_dump()):
        assert one.origin(name) in keys, name


def test_the_weight_decay_of_l2_is_its_own_and_the_others_have_none() -> None:
    decays = {method: experiment(regularizer=method).train.weight_decay for method in METHODS}
    assert decays == {method: 1e-4 if method in ("l2", "l2_fe") else 0.0 for method in METHODS}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none"}))
def test_the_weight_decay_is_the_recipes_where_the_method_leaves_it_open(method: str) -> None:
    changes = {"train.weight_decay": 0.03, f"options.regularizer.{method}.weight_decay": "auto"}
    one = resolved(changes=changes, regularizer=method)
    assert one.recipe.train.weight_decay == 0.03
    assert one.recipe.options["regularizer"][method]["weight_decay"] == 0.03
    assert one.origin("train.weight_decay") == "recipes.spa_gca.train.weight_decay"


def test_the_origin_of_a_weight_decay_is_where_the_method_says_it() -> None:
    origin = resolved(regularizer="l2").origin("train.weight_decay")
    assert origin == "recipes.spa_gca.options.regularizer.l2.weight_decay"


@pytest.mark.parametrize("freeze", ["auto", "1"])
def test_l2_fe_trains_the_head_alone_in_a_budget_of_its_own(freeze: str) -> None:
    one = resolved(regularizer="l2_fe", freeze=freeze)
    assert phases(one.recipe) == [("1", 10, 0.01, "l2_fe", False)]
    assert (one.recipe.train.budget.unit, one.recipe.train.schedule) == ("epochs", "exponential")
    assert one.origin("network.freeze") == ("regularizer" if freeze == "auto" else "freeze")
    assert one.origin("train.budget.amount").endswith("l2_fe.budget.amount")


@pytest.mark.parametrize("method", ["l2_fe", "delta"])
def test_a_budget_is_in_the_recipes_unit_also_of_a_method_that_has_another_by_itself(method: str) -> None:
    one = resolved(regularizer=method, budget=500)
    assert (one.recipe.train.budget.unit, one.recipe.train.budget.amount) == ("iterations", 500)
    assert one.origin("train.budget.amount") == "budget"


def test_the_budget_and_schedule_of_l2_fe_are_the_recipes_where_it_leaves_them_open() -> None:
    options = {f"options.regularizer.l2_fe.{key}": "auto" for key in ("budget", "schedule")}
    train = experiment(changes=options, regularizer="l2_fe").train
    assert (train.budget.unit, train.budget.amount, train.schedule) == ("iterations", 9000, "step")


@pytest.mark.parametrize("amount", [9000, 9001, 2])
def test_halves_are_the_budget_in_two(amount: int) -> None:
    for recipe in (experiment(changes={"train.budget.amount": amount}), experiment(budget=amount)):
        assert [phase.regularizer for phase in recipe.train.phases] == ["spa", "gca"]
        assert [phase.amount for phase in recipe.train.phases] == [amount // 2, amount - amount // 2]
        assert [phase.continues for phase in recipe.train.phases] == [False, True]


def test_the_order_of_halves_may_be_turned() -> None:
    recipe = experiment(changes={"options.regularizer.spa_gca.order": "gca_spa"})
    assert [phase.regularizer for phase in recipe.train.phases] == ["gca", "spa"]
    assert list(recipe.options["regularizer"]) == ["spa_gca", "gca", "spa"]


def test_a_recipe_holds_the_options_of_its_halves_and_of_no_other_method() -> None:
    assert experiment(regularizer="afa").options["regularizer"] == {
        "afa": {"weight_decay": 0.0, "order": "ast_act"},
        "ast": {"alpha": 0.1, "beta": 0.01, "normalize": "mean_one"},
        "act": {"alpha": 0.15, "beta": 0.01, "normalize": "mean_one"},
    }


def test_every_phase_has_the_method() -> None:
    recipe = experiment("animals", regularizer="gca")
    assert [phase.regularizer for phase in recipe.train.phases] == ["gca", "gca"]
    assert not any(phase.continues for phase in recipe.train.phases)


@pytest.mark.parametrize(("data", "alpha", "key"), [("dogs", 0.1, "dogs"), ("cars", 0.01, "default")])
def test_alpha_is_that_of_the_data_set(data: str, alpha: float, key: str) -> None:
    one = resolved(data=data)
    assert one.recipe.options["regularizer"]["spa"]["alpha"] == alpha
    assert one.origin(ALPHA) == f"recipes.spa_gca.{ALPHA}.{key}"


@pytest.mark.parametrize("data", ["dogs", "cub200"])
def test_a_plain_number_is_alpha_for_all_data_sets(data: str) -> None:
    one = resolved(changes={ALPHA: 0.7}, data=data)
    assert one.recipe.options["regularizer"]["spa"]["alpha"] == 0.7
    assert one.origin(ALPHA) == f"recipes.spa_gca.{ALPHA}"


def test_mit_indoor_has_another_network_and_says_where_that_stands() -> None:
    one = resolved(data="mit67")
    assert (one.recipe.network.backbone, one.recipe.network.weights) == ("resnet50", "places365")
    assert one.origin("network.backbone") == "recipes.spa_gca.per_data.mit67.network.backbone"
    assert one.origin("network.freeze") == "recipes.spa_gca.network.freeze"
    others = experiment(data="cub200").network
    assert (others.backbone, others.weights) == ("resnet101", "imagenet")


def test_an_axis_is_stronger_than_what_differs_for_the_data_set() -> None:
    one = resolved(data="mit67", backbone="resnet18")
    assert (one.recipe.network.backbone, one.recipe.network.weights) == ("resnet18", "places365")
    assert one.origin("network.backbone") == "backbone"


def test_a_plain_strength_may_differ_for_a_data_set() -> None:
    differing = {"mit67": {"options": {"regularizer": {"spa": {"alpha": 0.5}}}}}
    one = resolved(changes={"per_data": differing}, data="mit67")
    assert one.recipe.options["regularizer"]["spa"]["alpha"] == 0.5
    assert one.origin(ALPHA) == f"recipes.spa_gca.per_data.mit67.{ALPHA}"


@pytest.mark.parametrize("freeze", ["2", "3b", "scratch", "phases"])
def test_l2_fe_allows_no_other_word_on_what_trains(freeze: str) -> None:
    assert refusal(regularizer="l2_fe", freeze=freeze) == (
        f"params.yaml: freeze: {freeze!r} and regularizer 'l2_fe', which trains the head alone, exclude each other; "
        "leave freeze at auto"
    )


def test_a_probe_takes_no_attention_whose_features_move_without_training() -> None:
    memory = {"options.attention.hierarchical.temporal_memory": True}
    line = refusal("quick", attention="hierarchical", freeze="probe", changes=memory)
    assert line.startswith("params.yaml: freeze: 'probe' trains nothing, and ")
    assert "hierarchical.temporal_memory moves the features with every batch; set that to false" in line
    assert experiment("quick", attention="hierarchical", freeze="probe").network.attention == "hierarchical"


@pytest.mark.parametrize("method", ["afa", "spa_gca"])
def test_methods_that_divide_the_budget_and_phases_exclude_each_other(method: str) -> None:
    line = refusal("animals", regularizer=method)
    assert f"regularizer: {method!r} and recipes.animals.train.phases both say how the training goes on" in line
    assert "add -S freeze=2 (or another strategy)" in line
    assert len(experiment("animals", regularizer=method, freeze="2").train.phases) == 2


def test_a_method_that_trains_the_head_alone_takes_the_place_of_phases() -> None:
    assert phases(experiment("animals", regularizer="l2_fe")) == [("1", 10, 1e-3, "l2_fe", False)]


def test_a_budget_of_one_cannot_be_halved() -> None:
    line = refusal(changes={"train.budget.amount": 1})
    assert line.endswith("train.budget.amount: 1 cannot be halved, as regularizer 'spa_gca' needs; give 2 or more")
    assert "params.yaml: budget: 1 cannot be halved" in refusal(budget=1)
    assert len(experiment(budget=1, regularizer="gca").train.phases) == 1


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none", "l2", "l2_fe"}))
def test_nothing_stays_near_where_nothing_is_pre_trained(method: str) -> None:
    line = refusal(regularizer=method, freeze="scratch")
    assert f"freeze: 'scratch' has nothing pre-trained that regularizer {method!r} could stay near" in line


@pytest.mark.parametrize("method", ["none", "l2"])
def test_weight_decay_needs_nothing_pre_trained(method: str) -> None:
    assert experiment(regularizer=method, freeze="scratch").network.weights == "none"


def test_delta_follows_from_how_its_head_is_trained_too() -> None:
    budget = {"options.regularizer.l2_fe.budget": {"unit": "epochs", "amount": 1}}
    assert experiment(regularizer="delta") != experiment(changes=budget, regularizer="delta")
    assert experiment(regularizer="gca") == experiment(changes=budget, regularizer="gca")
    assert set(experiment(regularizer="delta").options["schedule"]) == {"step", "exponential"}


@pytest.mark.parametrize(
    ("name", "axes", "doubted"),
    [
        ("ecsm", {"attention": "se", "freeze": "2"}, ""),
        ("ecsm", {"attention": "cbam", "freeze": "2"}, ""),
        ("csca", {"attention": "ca"}, ""),
        ("csca", {"attention": "sa"}, ""),
        ("ecsm", {"attention": "eca", "freeze": "2"}, "the recipe has no such attention, so its budget of 60 epochs"),
        ("ecsm", {"attention": "cbam", "freeze": "2", "budget": 9}, "9 epochs are fewer than the recipe's 60"),
        ("ecsm", {"attention": "cbam", "freeze": "3b"}, "frozen layers behind them cannot follow;"),
    ],
)
def test_what_a_recipes_paper_trains_with_its_budget_is_not_advised_against(
    name: str, axes: Mapping[str, Any], doubted: str
) -> None:
    of_gates = [line for line in config.remarks(resolved(name, **axes)) if "gates around one half" in line]
    assert len(of_gates) == bool(doubted)
    assert doubted in "".join(of_gates)


def test_an_attention_that_a_recipe_names_is_a_known_one() -> None:
    message = refusal("ecsm", {"attentions": ["se", "cbm"]})
    assert message.startswith("params.yaml: recipes.ecsm.attentions")
    assert "'cbm' is not one of none, " in message
