from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from pipeline import params
from pipeline.core.errors import InputError

FILE = Path(__file__).parents[1] / "params.yaml"


def changed(key: str, value: Any) -> dict[str, Any]:
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    *above, last = key.split(".")
    place = values
    for part in above:
        place = place[part]
    place[last] = value
    return values


def quick_data() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    data: dict[str, Any] = values["papers"]["quick"]["data"]
    return data


def message(key: str, value: Any) -> str:
    with pytest.raises(InputError) as caught:
        params.check(changed(key, value))
    return str(caught.value)


def test_the_file_in_the_project_is_valid_and_every_paper_resolves() -> None:
    values = params.load(FILE)
    assert set(values.papers) == {"quick", "ecsm", "csca", "spa_gca", "hierarchical", "animals"}
    for paper in values.papers:
        chosen = params.check(changed("paper", paper)).experiment()
        sizes = values.papers[paper].data.sizes()
        assert chosen.settings.data.crop_size == sizes.crop
        assert chosen.settings.data.input_size == sizes.input
        data = chosen.settings.data.model_copy(update={"crop_size": "auto", "input_size": "auto"})
        whole = values.papers[paper].for_data(values.papers[paper].data.set)
        written = whole.data.model_copy(update={"crop_size": "auto", "input_size": "auto"})
        assert chosen.settings.model_copy(update={"data": data}) == whole.model_copy(update={"data": written})


@pytest.mark.parametrize("given", [1, "1"])
def test_strategy_1_may_be_written_as_a_number_or_as_text(given: object) -> None:
    assert params.check(changed("freeze", given)).experiment().settings.network.freeze == "1"


@pytest.mark.parametrize("given", ["1", "2", "3a", "3b", "3c", "scratch"])
def test_an_axis_replaces_the_papers_value_and_says_so(given: str) -> None:
    experiment = params.check(changed("freeze", given)).experiment()
    assert experiment.settings.network.freeze == given
    assert experiment.origins["network.freeze"] == "freeze"
    assert experiment.origins["network.head"] == "papers.quick.network.head"


def test_auto_and_the_same_value_spelt_out_give_one_recipe() -> None:
    spelt = params.check(changed("freeze", "3b")).experiment().recipe()
    assert spelt == params.load(FILE).experiment().recipe()


def test_every_value_of_a_recipe_has_an_origin_in_the_file() -> None:
    experiment = params.load(FILE).experiment()
    assert {name for name, _ in params.flat(experiment.recipe())} <= experiment.origins.keys()


def test_options_of_choices_not_taken_are_not_part_of_a_recipe() -> None:
    options = params.load(FILE).experiment().recipe()["train"]["optimizer_options"]
    assert list(options) == ["adam"]


def test_a_small_number_that_dvc_writes_without_a_dot_is_still_a_number() -> None:
    text = FILE.read_text(encoding="utf-8").replace("weight_decay: 0.0\n", "weight_decay: 1e-05\n")
    values = yaml.safe_load(text)
    assert values["papers"]["quick"]["train"]["weight_decay"] == "1e-05"
    assert params.check(values).experiment().settings.train.weight_decay == 1e-5


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("frez", "3c", "params.yaml: unknown key 'frez'; did you mean 'freeze'?"),
        ("papers.ecsm.train.momentums", 1, "unknown key 'papers.ecsm.train.momentums'; known here: budget, batch_size"),
        ("papers.quick.network.head_options.mlp1024.drop", 1, "did you mean 'dropout'?"),
        ("synthetic.sise", 1, "unknown key 'synthetic.sise'; did you mean 'size'?"),
        ("freeze", "bad", "freeze: 'bad' is not one of auto, 1, 2, 3a, 3b, 3c, scratch"),
        ("freeze", True, "freeze: True is not one of auto"),
        ("data", "imagenet", "data: 'imagenet' is not one of auto, synthetic, folder"),
        ("weights", None, "weights: None is not one of auto, imagenet, places365, file, synthetic, none"),
        ("papers.quick.train.optimizer", "sdg", "papers.quick.train.optimizer: 'sdg' is not one of adam, adamw, sgd"),
        ("papers.quick.train.lr", "fast", "papers.quick.train.lr: 'fast': "),
        ("papers.quick.train.lr", True, "a number is needed, not true or false"),
        ("papers.quick.train.lr", float("nan"), "papers.quick.train.lr: nan: "),
        ("papers.quick.train.lr", -1, "papers.quick.train.lr: -1: should be greater than 0"),
        ("papers.quick.train.batch_size", 2.5, "papers.quick.train.batch_size: 2.5: "),
        ("papers.quick.train.budget.amount", 0, "papers.quick.train.budget.amount: 0: "),
        ("papers.quick.data.split.test", 1.0, "papers.quick.data.split.test: 1.0: should be less than 1"),
        ("papers.quick.data.image_size", 8, "papers.quick.data.image_size: 8: "),
        ("papers.quick.train", None, "papers.quick.train: None: "),
        ("repeats", 1, "repeats: 1: "),
        ("repeats", [], "repeats: []: "),
        ("repeats", [1, 1], "repeats: [1, 1] names one twice; each repeat needs its own number"),
        ("paper", "unwritten", "paper: 'unwritten' has no section; known: quick, ecsm"),
        ("device", "gpu", "device: 'gpu': "),
        ("threads", 0, "threads: 0: "),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_key_and_value(key: str, value: Any, expected: str) -> None:
    told = message(key, value)
    assert expected in told
    assert "\n" not in told


def test_a_missing_key_is_named() -> None:
    values = changed("freeze", "1")
    del values["papers"]["ecsm"]["train"]["lr"]
    with pytest.raises(InputError, match=r"key 'papers\.ecsm\.train\.lr' is missing"):
        params.check(values)


def test_nesterov_without_momentum_is_refused() -> None:
    options = {"momentum": 0.0, "nesterov": True}
    assert "nesterov needs a momentum above 0" in message("papers.quick.train.optimizer_options.sgd", options)


def both(first: str, one: Any, second: str, other: Any) -> str:
    """The message for two changes at once."""
    values = changed(first, one)
    *above, last = second.split(".")
    place = values
    for part in above:
        place = place[part]
    place[last] = other
    with pytest.raises(InputError) as caught:
        params.check(values)
    return str(caught.value)


def test_an_explicit_strategy_beside_phases_is_refused() -> None:
    assert both("paper", "animals", "freeze", "3b") == (
        "params.yaml: freeze: '3b' and papers.animals.train.phases both say what is frozen; leave freeze at auto, "
        "or add -S 'papers.animals.train.phases=[]'"
    )


def test_phases_without_phases_are_refused() -> None:
    assert "freeze: 'phases' needs phases, and papers.quick.train.phases is empty" in message("freeze", "phases")


@pytest.mark.parametrize("amount", [4, 60])
def test_a_budget_that_is_not_the_sum_of_its_phases_is_refused(amount: int) -> None:
    told = both("paper", "animals", "papers.animals.train.budget", {"unit": "epochs", "amount": amount})
    assert f"papers.animals.train.budget.amount: {amount} is not the sum of its phases' [10, 40]" in told
    assert "-S papers.animals.train.phases.0.amount=10" in told


def test_a_rate_that_is_not_the_first_phases_is_refused() -> None:
    told = both("paper", "animals", "papers.animals.train.lr", 0.5)
    assert "papers.animals.train.lr: 0.5 is not the first phase's 0.001; set both" in told


@pytest.mark.parametrize("given", ["scratch", "phases"])
def test_a_phase_freezes_something_definite(given: str) -> None:
    phase = {"freeze": given, "amount": 50, "lr": 1e-3}
    assert f"freeze: {given!r} is for a whole training" in message("papers.animals.train.phases", [phase])


def test_one_phase_is_what_a_recipe_without_phases_has() -> None:
    (part,) = params.load(FILE).experiment().parts()
    assert part == ("3b", 8, 3e-4, "none", False)


def test_sizes_follow_one_another_where_they_are_left_open() -> None:
    assert params.load(FILE).papers["quick"].data.sizes() == (64, 64, 64)
    assert params.load(FILE).papers["hierarchical"].data.sizes() == (32, 32, 224)
    values = params.check(changed("papers.quick.data.crop_size", 48))
    assert values.papers["quick"].data.sizes() == (64, 48, 48)


@pytest.mark.parametrize(("image_size", "crop_size", "cut"), [(256, "auto", 224), (224, "auto", 196), (256, 200, 200)])
def test_the_crop_of_spa_gca_may_be_named_as_an_augmentation(image_size: int, crop_size: int | str, cut: int) -> None:
    data = {"image_size": image_size, "crop_size": crop_size, "augmentation": "crop256"}
    recipe = params.check(changed("papers.quick.data", quick_data() | data)).experiment().recipe()
    assert (recipe["data"]["crop_size"], recipe["data"]["input_size"]) == (cut, cut)


def test_a_crop_that_leaves_nothing_to_draw_is_no_augmentation() -> None:
    data = quick_data() | {"crop_size": 64, "augmentation": "crop256"}
    told = message("papers.quick.data", data)
    assert "augmentation: crop256 cuts at random, and crop_size 64 is all there is to cut from; make crop_size" in told


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("papers.quick.data.crop_size", 80, "papers.quick.data: crop_size: 80 is more than image_size 64"),
        ("papers.quick.data.image_size", 24, "papers.quick.data: input_size: 24 is too small; at least 32 is needed"),
        ("papers.quick.network.attention_options.sa.kernel_size", 4, "4: an odd number is needed"),
        ("papers.quick.network.attention_options.se.place", "head", "is not one of after_stages, in_blocks, tail"),
        ("papers.quick.network.attention_options.se.gate_init", "zero", "is not one of paper, identity"),
        ("papers.quick.network.attention_options.csca.mode", "both", "is not one of joint, sequential"),
        ("attention", "senet", "attention: 'senet' is not one of auto, none, se, eca, spatial, cbam, self, ecsm, ca"),
    ],
)
def test_options_of_images_and_attention_are_checked(key: str, value: Any, expected: str) -> None:
    assert expected in message(key, value)


def test_options_of_attention_that_is_not_chosen_are_not_part_of_a_recipe() -> None:
    recipe = params.check(changed("attention", "se")).experiment().recipe()
    assert recipe["network"]["attention_options"] == {
        "se": {"place": "after_stages", "gate_init": "paper", "reduction": 16}
    }
    assert "attention_options" not in params.load(FILE).experiment().recipe()["network"]


def test_several_mistakes_are_counted() -> None:
    values = changed("freeze", "bad")
    values["device"] = "gpu"
    with pytest.raises(InputError, match=r"\(and 1 more\)$"):
        params.check(values)


@pytest.mark.parametrize("key", ["papers.quick.data.input_size", "papers.quick.data.crop_size", "threads"])
def test_one_mistake_is_counted_once_also_where_a_word_would_do(key: str) -> None:
    assert "more)" not in message(key, 0)


def test_text_that_is_not_yaml_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("paper: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"^params\.yaml: not YAML"):
        params.load(file)
    file.write_text("just text", encoding="utf-8")
    with pytest.raises(InputError, match=r"a mapping of keys is needed, found str"):
        params.load(file)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; run this in the project's root"):
        params.load(tmp_path / "params.yaml")


def test_every_paper_has_the_same_keys_as_the_schema() -> None:
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))["papers"]
    assert all({"per_data"} < section.keys() for section in values.values())
    keys = {paper: {without_sets(name) for name, _ in params.flat(section)} - {""} for paper, section in values.items()}
    assert len(set(map(frozenset, keys.values()))) == 1


def without_sets(name: str) -> str:
    """A key up to where data sets are named."""
    alpha = name.find(".alpha.")
    return "" if name.startswith("per_data.") else name if alpha < 0 else name[: alpha + len(".alpha")]


def test_every_name_that_may_be_chosen_is_a_row_of_its_table_and_every_row_may_be_chosen() -> None:
    from pipeline.networks.attention.table import ATTENTIONS
    from pipeline.networks.backbones import BACKBONES
    from pipeline.networks.freezing import STRATEGIES
    from pipeline.networks.heads import HEADS, STOCK
    from pipeline.networks.insertion import PLACES
    from pipeline.stages.source import SOURCES

    assert set(get_args(params.Backbone)) == set(BACKBONES)
    assert set(get_args(params.Attention)) == {"none", *ATTENTIONS}
    assert set(get_args(params.Weights)) == set(SOURCES)
    assert set(get_args(params.Strategy)) == {params.PHASES, *STRATEGIES}
    assert set(get_args(params.Place)) == set(PLACES)
    assert set(get_args(params.Network.model_fields["head"].annotation)) == {STOCK, *HEADS}


def test_the_recipes_put_attention_where_its_row_does() -> None:
    from pipeline.networks.attention.table import ATTENTIONS

    for paper in params.load(FILE).papers.values():
        options = paper.network.attention_options.model_dump()
        assert {name: section["place"] for name, section in options.items()} == {
            name: ATTENTIONS[name].place for name in options
        }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"train": 1, "test": 1, "val": 0, "foo": 1}, "unknown key 'PLACE.foo'; known here: train, test, val"),
        ({"train": 1, "test": 1}, "key 'PLACE.val' is missing"),
        ({"train": -1, "test": 1, "val": 0}, "PLACE.train: -1: should be greater than or equal to 0"),
        ("foo", "PLACE: 'foo' is not one of auto, none"),
    ],
)
def test_what_is_a_word_or_a_section_is_told_by_its_own_keys(given: object, told: str) -> None:
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    values["papers"]["quick"]["data"]["split"]["per_class"] = given
    with pytest.raises(InputError) as caught:
        params.check(values)
    assert str(caught.value) == f"params.yaml: {told}".replace("PLACE", "papers.quick.data.split.per_class")
