"""DELTA's channel weights: made once for the same images, weights and settings, and kept."""

import io
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from pipeline import config
from pipeline.assembly import channel_weights, networks, training_plan
from pipeline.assembly.transforms import eval_transform
from pipeline.core import loop_settings, paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import MEAN, STD, Packed
from pipeline.networks.build import build
from pipeline.training import contract

SIDE = 32
LAYERS = ["layer1.1.conv2"]
CPU = torch.device("cpu")
FOLLOWS_FROM = {"data": {"sha256": "d" * 64}, "weights": {"sha256": "e" * 64}, "device": "cpu", "threads": 1}


def packed() -> Packed:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (10, 3, SIDE, SIDE), dtype=np.uint8)
    labels = np.arange(10) % 3
    return Packed(images, [f"{n}.png" for n in range(10)], labels, ["a", "b", "c"], MEAN, STD, "d" * 64)


def recipe(changes: Mapping[str, Any] | None = None, *, freeze: str = "3b") -> Recipe:
    own = {
        "data.image_size": SIDE,
        "train.batch_size": 4,
        "options.regularizer.l2_fe.budget": tiny.ONE_EPOCH,
        "options.regularizer.delta.batches": 1,
    }
    return tiny.experiment(own | dict(changes or {}), regularizer="delta", freeze=freeze)


def examples(given: Recipe, rows: int = 8) -> contract.Examples:
    parts = {"train": torch.arange(rows), "val": torch.arange(0)}
    return training_plan.training_examples(packed(), parts, CPU, eval_transform(given.data.sizes))


@pytest.fixture(scope="module")
def pretrained() -> dict[str, Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        torch.manual_seed(3)
        network = build(networks.plan(recipe(), classes=3), pretrained=None)
    return {name: value for name, value in network.model.state_dict().items() if not name.startswith("fc.")}


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None) -> Path:
    """The user's clone, without any weights of channels yet."""
    tiny.enter(tmp_path, monkeypatch)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a head was trained."""
    made: list[int] = []
    plain = channel_weights.trained_head
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: made.append(1) or plain(*a, **k))
    return made


def weigh(
    given: Recipe,
    start: dict[str, Tensor],
    *,
    rows: int = 8,
    turned: int | None = None,
    follows_from: Mapping[str, Any] = FOLLOWS_FROM,
) -> dict[str, Tensor]:
    """The weights of one tap's channels; the image of row `turned` has another label."""
    shown = examples(given, rows)
    if turned is not None:
        shown.labels[turned] = (shown.labels[turned] + 1) % 3
    return channel_weights.channels(given, shown, LAYERS, classes=3, pretrained=start, follows_from=follows_from)


def test_weights_are_shares_of_each_taps_channels(pretrained: dict[str, Tensor]) -> None:
    found = weigh(recipe(), pretrained)
    assert list(found) == LAYERS
    assert found[LAYERS[0]].shape == (tiny.WIDTHS[0],)
    assert found[LAYERS[0]].sum().item() == pytest.approx(1)
    assert found[LAYERS[0]].max() > found[LAYERS[0]].min() > 0


def test_a_second_repeat_over_the_same_images_reads_what_the_first_made(
    pretrained: dict[str, Tensor], trainings: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    first = weigh(recipe(), pretrained)
    capsys.readouterr()
    second = weigh(recipe(), pretrained)
    assert len(trainings) == 1
    assert capsys.readouterr().out == "train: channel weights of 1 layers read from .dvc/tmp/channels\n"
    assert torch.equal(first[LAYERS[0]], second[LAYERS[0]])


def test_what_is_made_anew_is_the_same(pretrained: dict[str, Tensor], clone: Path) -> None:
    first = weigh(recipe(), pretrained)
    for file in (clone / paths.CHANNELS).glob("*.safetensors"):
        file.unlink()
    assert torch.equal(first[LAYERS[0]], weigh(recipe(), pretrained)[LAYERS[0]])


CHANGES: dict[str, dict[str, Any]] = {
    "other rows": {"rows": 7},
    "another label of a training image": {"turned": 7},
    "other weights": {"follows_from": FOLLOWS_FROM | {"weights": {"sha256": "f" * 64}}},
    "other images": {"follows_from": FOLLOWS_FROM | {"data": {"sha256": "0" * 64}}},
    "other threads": {"follows_from": FOLLOWS_FROM | {"threads": 2}},
    "more batches": {"given": {"options.regularizer.delta.batches": 2}},
    "smaller batches": {"given": {"train.batch_size": 3}},
    "another rate": {"given": {"train.lr": 0.5}},
    "smaller crops": {"given": {"data.image_size": 36, "data.crop_size": 32}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_weights_follow_from_gives_others(
    change: str, pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: None)
    monkeypatch.setattr(
        channel_weights,
        "measure_importance",
        lambda *a, **k: made.append(1) or {LAYERS[0]: torch.arange(float(tiny.WIDTHS[0]))},
    )
    weigh(recipe(), pretrained)
    options = dict(CHANGES[change])
    weigh(recipe(options.pop("given", {})), pretrained, **options)
    assert len(made) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"options.regularizer.delta.alpha": 0.5},
        {"options.regularizer.delta.beta": 0.5},
        {"options.regularizer.delta.normalize": "raw"},
        {"data.augmentation": "flip"},
        {"data.crop_padding": 4},
    ],
    ids=str,
)
def test_what_weights_do_not_follow_from_makes_none_anew(
    changes: dict[str, Any], pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: None)
    monkeypatch.setattr(
        channel_weights,
        "measure_importance",
        lambda *a, **k: made.append(1) or {LAYERS[0]: torch.arange(float(tiny.WIDTHS[0]))},
    )
    for given in (recipe(), recipe(changes)):
        weigh(given, pretrained)
    assert len(made) == 1


def test_the_label_of_an_image_outside_the_training_part_makes_none_anew(
    pretrained: dict[str, Tensor], trainings: list[int]
) -> None:
    for turned in (None, 9):
        weigh(recipe(), pretrained, turned=turned)
    assert len(trainings) == 1


def test_a_broken_file_is_made_anew_or_told_with_the_way_out(
    pretrained: dict[str, Tensor], clone: Path, trainings: list[int]
) -> None:
    weigh(recipe(), pretrained)
    [file] = (clone / paths.CHANNELS).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    told = ""
    try:
        weigh(recipe(), pretrained)
    except InputError as error:
        told = str(error)
    # Copying or downloading it again, as for weights, is no way out.
    assert len(trainings) == 2 or "delete" in told
    assert "\n" not in told


def test_a_training_of_channels_that_fails_leaves_no_file(
    pretrained: dict[str, Tensor], clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: None)
    monkeypatch.setattr(
        channel_weights, "measure_importance", lambda *a, **k: {LAYERS[0]: torch.full((tiny.WIDTHS[0],), torch.nan)}
    )
    with pytest.raises(InputError, match=r"a loss increase at layer1\.1\.conv2 is not finite"):
        weigh(recipe(), pretrained)
    assert not [file for file in (clone / paths.CHANNELS).iterdir() if file.suffix != ".lock"]


def test_of_two_at_once_one_makes_the_weights_and_the_other_waits_for_them(
    pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()
    made: list[int] = []

    def slow(*_arguments: Any, **_options: Any) -> None:
        made.append(1)
        entered.set()
        assert release.wait(timeout=10)

    monkeypatch.setattr(channel_weights, "trained_head", slow)
    monkeypatch.setattr(
        channel_weights, "measure_importance", lambda *a, **k: {LAYERS[0]: torch.arange(float(tiny.WIDTHS[0]))}
    )
    found: list[dict[str, Tensor]] = []
    workers = [threading.Thread(target=lambda: found.append(weigh(recipe(), pretrained))) for _ in range(2)]
    workers[0].start()
    assert entered.wait(timeout=10)
    workers[1].start()
    workers[1].join(timeout=1)
    assert workers[1].is_alive()
    release.set()
    for worker in workers:
        worker.join(timeout=10)
    assert len(made) == 1
    assert torch.equal(found[0][LAYERS[0]], found[1][LAYERS[0]])


def test_pre_trained_values_and_the_stream_of_random_numbers_stay_as_they_were(pretrained: dict[str, Tensor]) -> None:
    before, state = {name: value.clone() for name, value in pretrained.items()}, torch.random.get_rng_state()
    weigh(recipe(), pretrained)
    assert all(torch.equal(value, before[name]) for name, value in pretrained.items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_network_that_filters_are_left_out_of_has_a_trained_head_alone(pretrained: dict[str, Tensor]) -> None:
    given = recipe()
    network = channel_weights.trained_head(given, examples(given), classes=3, pretrained=pretrained)
    state = network.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in pretrained.items())
    untrained = channel_weights.trained_head(
        recipe({"train.lr": 1e-30}), examples(given), classes=3, pretrained=pretrained
    )
    assert not torch.equal(untrained.model.state_dict()["fc.weight"], state["fc.weight"])


def test_weighing_leaves_the_network_as_it_was_and_sees_training_images_alone(
    pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe()
    shown = examples(given)
    network = channel_weights.trained_head(given, shown, classes=3, pretrained=pretrained)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    asked: list[int] = []
    plain = shown.images.batch
    monkeypatch.setattr(
        shown.images, "batch", lambda rows, random_parameters=None: asked.extend(rows.tolist()) or plain(rows)
    )
    channel_weights.measure_importance(given, network, shown, LAYERS)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert len(asked) == 4
    assert set(asked) <= set(range(8))


def test_the_head_is_trained_as_by_l2_fe_also_where_the_recipe_has_phases() -> None:
    animals = config.resolve(config.check(tiny.recipe("animals", regularizer="delta"))).recipe
    found = loop_settings.head_settings(animals)
    assert (found.budget.unit, found.budget.amount, found.schedule) == ("epochs", 10, "exponential")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "told"), [(Terminal, True), (io.StringIO, False)])
def test_progress_is_shown_on_a_terminal_alone(
    stream: type[io.StringIO], told: bool, pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe()
    network = channel_weights.trained_head(given, examples(given), classes=3, pretrained=pretrained)
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    channel_weights.measure_importance(given, network, examples(given), LAYERS)
    assert ("channels: 100%" in written.getvalue()) is told
    assert told or not written.getvalue()
