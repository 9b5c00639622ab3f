"""DELTA's channel weights: computed once for the same images, weights and settings, and cached."""

import io
import os
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
from pipeline.assembly import channel_weights, loop_settings, networks, training_plan
from pipeline.assembly.transforms import eval_transform
from pipeline.core import paths, provenance
from pipeline.core.errors import InputError
from pipeline.core.imagenet import MEAN, STD
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
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


def examples(experiment: Recipe, rows: int = 8) -> contract.Examples:
    parts = {"train": torch.arange(rows), "val": torch.arange(0)}
    return training_plan.training_examples(packed(), parts, CPU, eval_transform(experiment.data.sizes))


@pytest.fixture(scope="module")
def pretrained() -> dict[str, Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        torch.manual_seed(3)
        network = build(networks.plan(recipe(), classes=3), pretrained=None)
    return {name: value for name, value in network.model.state_dict().items() if not name.startswith("fc.")}


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None) -> Path:
    """The clone, without cached channel weights."""
    tiny.enter(tmp_path, monkeypatch)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per training of a head."""
    heads: list[int] = []
    plain = channel_weights.trained_head
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: heads.append(1) or plain(*a, **k))
    return heads


def weigh(
    experiment: Recipe,
    start: dict[str, Tensor],
    *,
    rows: int = 8,
    turned: int | None = None,
    follows_from: Mapping[str, Any] = FOLLOWS_FROM,
) -> dict[str, Tensor]:
    """Return the channel weights of one layer; the image of row `turned` has another label."""
    data = examples(experiment, rows)
    if turned is not None:
        data.labels[turned] = (data.labels[turned] + 1) % 3
    return channel_weights.channels(experiment, data, LAYERS, classes=3, pretrained=start, follows_from=follows_from)


def test_weights_are_shares_of_each_layers_channels(pretrained: dict[str, Tensor]) -> None:
    weights = weigh(recipe(), pretrained)
    assert list(weights) == LAYERS
    assert weights[LAYERS[0]].shape == (tiny.WIDTHS[0],)
    assert weights[LAYERS[0]].sum().item() == pytest.approx(1)
    assert weights[LAYERS[0]].max() > weights[LAYERS[0]].min() > 0


def test_a_second_repeat_over_the_same_images_reads_the_firsts_file(
    pretrained: dict[str, Tensor], trainings: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    first = weigh(recipe(), pretrained)
    capsys.readouterr()
    second = weigh(recipe(), pretrained)
    assert len(trainings) == 1
    assert capsys.readouterr().out == "train: channel weights of 1 layers read from .dvc/tmp/channels\n"
    assert torch.equal(first[LAYERS[0]], second[LAYERS[0]])


def test_weights_that_were_not_used_for_30_days_are_removed(pretrained: dict[str, Tensor], clone: Path) -> None:
    old = clone / paths.CHANNELS / "0.safetensors"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    weigh(recipe(), pretrained)
    assert [file for file in old.parent.glob("*.safetensors") if file != old]
    assert not old.exists()


def test_recomputed_weights_are_the_same(pretrained: dict[str, Tensor], clone: Path) -> None:
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
    "more batches": {"experiment": {"options.regularizer.delta.batches": 2}},
    "smaller batches": {"experiment": {"train.batch_size": 3}},
    "another rate": {"experiment": {"train.lr": 0.5}},
    "smaller crops": {"experiment": {"data.image_size": 36, "data.crop_size": 32}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_input_of_the_weights_changes_the_files_name(
    change: str, pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: None)
    monkeypatch.setattr(
        channel_weights,
        "measure_importance",
        lambda *a, **k: computed.append(1) or {LAYERS[0]: torch.arange(float(tiny.WIDTHS[0]))},
    )
    weigh(recipe(), pretrained)
    options = dict(CHANGES[change])
    weigh(recipe(options.pop("experiment", {})), pretrained, **options)
    assert len(computed) == 2


def test_weights_of_another_torch_are_computed_anew(
    pretrained: dict[str, Tensor], trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    weigh(recipe(), pretrained)
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "9.9"})
    weigh(recipe(), pretrained)
    assert len(trainings) == 2


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
def test_other_settings_compute_no_new_weights(
    changes: dict[str, Any], pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: None)
    monkeypatch.setattr(
        channel_weights,
        "measure_importance",
        lambda *a, **k: computed.append(1) or {LAYERS[0]: torch.arange(float(tiny.WIDTHS[0]))},
    )
    for experiment in (recipe(), recipe(changes)):
        weigh(experiment, pretrained)
    assert len(computed) == 1


def test_the_label_of_an_image_outside_the_training_part_computes_no_new_weights(
    pretrained: dict[str, Tensor], trainings: list[int]
) -> None:
    for turned in (None, 9):
        weigh(recipe(), pretrained, turned=turned)
    assert len(trainings) == 1


def test_a_file_with_a_wrong_byte_is_recomputed(
    pretrained: dict[str, Tensor], clone: Path, trainings: list[int]
) -> None:
    first = weigh(recipe(), pretrained)
    [file] = (clone / paths.CHANNELS).glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert torch.equal(weigh(recipe(), pretrained)[LAYERS[0]], first[LAYERS[0]])
    assert len(trainings) == 2


def test_a_broken_file_is_recomputed_or_named_with_the_way_out(
    pretrained: dict[str, Tensor], clone: Path, trainings: list[int]
) -> None:
    weigh(recipe(), pretrained)
    [file] = (clone / paths.CHANNELS).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    message = ""
    try:
        weigh(recipe(), pretrained)
    except InputError as error:
        message = str(error)
    # Copying or downloading it again, as for weights, is no way out.
    assert len(trainings) == 2 or "delete" in message
    assert "\n" not in message


def test_a_training_of_channels_that_fails_leaves_no_file(
    pretrained: dict[str, Tensor], clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_weights, "trained_head", lambda *a, **k: None)
    monkeypatch.setattr(
        channel_weights, "measure_importance", lambda *a, **k: {LAYERS[0]: torch.full((tiny.WIDTHS[0],), torch.nan)}
    )
    with pytest.raises(InputError, match=r"the loss without a filter of layer1\.1\.conv2 is not finite"):
        weigh(recipe(), pretrained)
    assert not [file for file in (clone / paths.CHANNELS).iterdir() if file.suffix != ".lock"]


def test_of_two_at_once_one_makes_the_weights_and_the_other_waits_for_them(
    pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()
    computed: list[int] = []

    def slow(*_arguments: Any, **_options: Any) -> None:
        computed.append(1)
        entered.set()
        assert release.wait(timeout=10)

    monkeypatch.setattr(channel_weights, "trained_head", slow)
    monkeypatch.setattr(
        channel_weights, "measure_importance", lambda *a, **k: {LAYERS[0]: torch.arange(float(tiny.WIDTHS[0]))}
    )
    results: list[dict[str, Tensor]] = []
    workers = [threading.Thread(target=lambda: results.append(weigh(recipe(), pretrained))) for _ in range(2)]
    workers[0].start()
    assert entered.wait(timeout=10)
    workers[1].start()
    workers[1].join(timeout=1)
    assert workers[1].is_alive()
    release.set()
    for worker in workers:
        worker.join(timeout=10)
    assert len(computed) == 1
    assert torch.equal(results[0][LAYERS[0]], results[1][LAYERS[0]])


def test_pre_trained_values_stay_as_they_were(pretrained: dict[str, Tensor]) -> None:
    before = {name: value.clone() for name, value in pretrained.items()}
    weigh(recipe(), pretrained)
    assert all(torch.equal(value, before[name]) for name, value in pretrained.items())


def test_the_network_that_filters_are_left_out_of_has_a_trained_head_alone(pretrained: dict[str, Tensor]) -> None:
    experiment = recipe()
    network = channel_weights.trained_head(experiment, examples(experiment), classes=3, pretrained=pretrained)
    state = network.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in pretrained.items())
    untrained = channel_weights.trained_head(
        recipe({"train.lr": 1e-30}), examples(experiment), classes=3, pretrained=pretrained
    )
    assert not torch.equal(untrained.model.state_dict()["fc.weight"], state["fc.weight"])


def test_weighing_leaves_the_network_as_it_was_and_sees_training_images_alone(
    pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = recipe()
    data = examples(experiment)
    network = channel_weights.trained_head(experiment, data, classes=3, pretrained=pretrained)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    asked: list[int] = []
    plain = data.images.batch
    monkeypatch.setattr(
        data.images, "batch", lambda rows, random_parameters=None: asked.extend(rows.tolist()) or plain(rows)
    )
    channel_weights.measure_importance(experiment, network, data, LAYERS)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert len(asked) == 4
    assert set(asked) <= set(range(8))


def test_the_head_is_trained_as_by_l2_fe_also_where_the_recipe_has_phases() -> None:
    animals = config.resolve(config.check(tiny.recipe("animals", regularizer="delta"))).recipe
    settings = loop_settings.head_settings(animals)
    assert (settings.budget.unit, settings.budget.amount, settings.schedule) == ("epochs", 10, "exponential")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shows"), [(Terminal, True), (io.StringIO, False)])
def test_progress_is_shown_on_a_terminal_alone(
    stream: type[io.StringIO], shows: bool, pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = recipe()
    network = channel_weights.trained_head(experiment, examples(experiment), classes=3, pretrained=pretrained)
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    channel_weights.measure_importance(experiment, network, examples(experiment), LAYERS)
    assert ("channels: 100%" in written.getvalue()) is shows
    assert shows or not written.getvalue()
