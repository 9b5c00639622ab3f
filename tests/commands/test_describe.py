import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import pipeline
from pipeline.commands import COMMANDS, orbweaver
from pipeline.errors import InputError

ROOT = Path(pipeline.__file__).parents[1]


def describe(*words: str) -> Result:
    return CliRunner().invoke(orbweaver, ["describe", *words])


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("strategy", "trainable", "frozen"),
    [
        ("1", 2_149_426, 23_561_152),
        ("2", 25_657_458, 53_120),
        ("3a", 25_432_114, 278_464),
        ("3b", 24_212_530, 1_498_048),
        ("3c", 17_114_162, 8_596_416),
    ],
)
def test_ecsm_table_5_is_counted_exactly(strategy: str, trainable: int, frozen: int) -> None:
    words = ["-S", "paper=ecsm", "-S", "attention=none", "-S", f"freeze={strategy}", "--classes", "50", "--json"]
    found = json.loads(describe(*words).output)
    assert found["parameters"] == {"trainable": trainable, "frozen": frozen}


def test_every_value_is_shown_with_where_it_comes_from() -> None:
    found = json.loads(describe("-S", "freeze=1", "-S", "papers.quick.train.lr=0.00001", "--json").output)
    settings = found["settings"]
    assert settings["network.freeze"] == {"value": "1", "from": "freeze"}
    assert settings["network.head"] == {"value": "linear", "from": "papers.quick.network.head"}
    assert settings["train.lr"] == {"value": 1e-5, "from": "papers.quick.train.lr"}
    assert settings["synthetic.images_per_class"]["from"] == "synthetic.images_per_class"
    assert found["classes"] == 9
    assert [row["stage"] for row in found["layers"] if row["trains"]] == ["head"]


def test_the_text_says_what_is_frozen_and_counts() -> None:
    told = describe("-S", "freeze=3b").output
    assert "block2   frozen" in told
    assert "block3   yes" in told
    assert "trainable 10,498,057, frozen 692,672" in told


def test_the_file_itself_is_left_as_it_is() -> None:
    before = Path("params.yaml").read_bytes()
    describe("-S", "freeze=1")
    assert Path("params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("frez=1", "-S frez=1: Could not override 'frez'; the keys are those of params.yaml"),
        ("+frez=1", "params.yaml: unknown key 'frez'; did you mean 'freeze'?"),
        ("freeze=4", "params.yaml: freeze: '4' is not one of auto, 1, 2, 3a, 3b, 3c, scratch"),
    ],
)
def test_a_wrong_override_is_told_in_one_line(override: str, message: str) -> None:
    caught = describe("-S", override).exception
    assert isinstance(caught, InputError)
    assert str(caught) == message


def test_data_that_is_not_there_asks_for_the_number_of_classes() -> None:
    caught = describe("-S", "data=folder", "-S", "folder=/nowhere").exception
    assert isinstance(caught, InputError)
    assert str(caught).endswith("or say how many classes with --classes")


def test_every_command_is_listed_and_has_help() -> None:
    listed = CliRunner().invoke(orbweaver, ["--help"]).output
    for name in COMMANDS:
        assert name in listed
        done = CliRunner().invoke(orbweaver, [name, "--help"])
        assert done.exit_code == 0
        assert "Usage" in done.output
