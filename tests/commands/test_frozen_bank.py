"""The backbones that an advice is given: one weights for the bank and for the trials."""

from pathlib import Path

import pytest
import tiny

from pipeline.advice import candidates
from pipeline.advice.backbone_words import ranked
from pipeline.advice.backbones import Frozen
from pipeline.commands import frozen_bank
from pipeline.core.errors import InputError
from pipeline.evaluation.compare.statistics import Interval
from pipeline.preview.overriding import read
from pipeline.running import trials

EFFICIENTNET, RESNET, FILE = "efficientnet_lite0", "resnet18", "own.safetensors"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny project with the recipe's own network and a file of weights."""
    tiny.enter(tmp_path / "project", monkeypatch)
    tiny.put(tiny.values())
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    Path(FILE).write_bytes(b"weights")


def planned(backbones: str, *words: str) -> dict[str, tuple[str, str]]:
    """The weights and the file of each backbone's trials, as params.yaml takes them."""
    found = frozen_bank.asked(backbones, words)
    weights = frozen_bank.weights(found, read(words), words)
    listed = candidates.candidates(list(found), ["none"], own=EFFICIENTNET, weights=weights)
    cells = trials.plan({one.name: one.settings for one in listed if one.name.endswith("-3b")}, words)
    taken = {}
    for cell in cells:
        network, axes = cell.resolved.recipe.network, cell.resolved.settings.axes
        assert found[network.backbone].weights == network.weights
        taken[network.backbone] = network.weights, axes.weights_file if network.weights == "file" else ""
    return taken


@pytest.mark.usefixtures("project")
def test_a_backbone_that_is_not_the_recipes_is_tried_with_weights_that_it_has() -> None:
    assert planned(f"{EFFICIENTNET},{RESNET}") == {EFFICIENTNET: ("bundled", ""), RESNET: ("imagenet", "")}


@pytest.mark.usefixtures("project")
def test_a_backbones_file_is_that_of_its_trials_wherever_they_run() -> None:
    assert planned(f"{EFFICIENTNET},{RESNET}={FILE}")[RESNET] == ("file", str(Path(FILE).resolve()))


@pytest.mark.usefixtures("project")
def test_weights_that_the_user_gives_are_those_of_all() -> None:
    tiny.put(tiny.values({"network.backbone": RESNET, "network.weights": "imagenet"}))
    assert planned(f"{RESNET},vgg16", "weights=imagenet") == {RESNET: ("imagenet", ""), "vgg16": ("imagenet", "")}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("backbones", "words", "line"),
    [
        (f"{RESNET},{RESNET}={FILE}", [], "--backbones: resnet18 is listed twice"),
        (f"{RESNET}={FILE}", ["weights=imagenet"], "-S weights=imagenet: --backbones has a file of weights for one"),
        ("resnet19", [], "--backbones: 'resnet19' is not known"),
    ],
)
def test_weights_that_say_two_things_are_refused(backbones: str, words: list[str], line: str) -> None:
    with pytest.raises(InputError, match=line):
        frozen_bank.asked(backbones, words)


def test_a_line_says_of_each_backbone_what_becomes_of_it_the_best_first() -> None:
    frozen = [
        Frozen("a", 0.7, Interval(0.65, 0.75), 3.0),
        Frozen("b", 0.8, None, 9.0),
        Frozen("c", 0.9, Interval(0.85, 0.95), 4.0),
    ]
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in ranked(frozen)] == [
        "c: 90.0 % (85.0 to 95.0) in 4.0 s, tried",
        "b: 80.0 % in 9.0 s, tried",
        "a: 70.0 % (65.0 to 75.0) in 3.0 s, left out: not one of the best 2",
    ]
