import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import params
from pipeline.errors import InputError

FILE = Path(__file__).parents[1] / "params.yaml"


def changed(key: str, value: Any) -> dict[str, Any]:
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    *above, last = key.split(".")
    place = values
    for part in above:
        place = place[part]
    place[last] = value
    return values


def message(key: str, value: Any) -> str:
    with pytest.raises(InputError) as caught:
        params.check(changed(key, value))
    return str(caught.value)


def test_the_file_in_the_project_is_valid_and_every_paper_resolves() -> None:
    values = params.load(FILE)
    assert set(values.papers) >= {"quick", "ecsm"}
    for paper in values.papers:
        chosen = params.check(changed("paper", paper)).experiment()
        assert chosen.settings == values.papers[paper]


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
        ("weights", None, "weights: None is not one of auto, imagenet, file, synthetic, none"),
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


def test_several_mistakes_are_counted() -> None:
    values = changed("freeze", "bad")
    values["device"] = "gpu"
    with pytest.raises(InputError, match=r"\(and 1 more\)$"):
        params.check(values)


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
    keys = {paper: {name for name, _ in params.flat(copy.deepcopy(section))} for paper, section in values.items()}
    assert len(set(map(frozenset, keys.values()))) == 1
