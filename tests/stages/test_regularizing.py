"""Every regularizer through the stage's own functions, on twelve small images of three classes."""

import csv
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from pipeline.assembly import channel_weights, loop_settings, loss_terms, networks, regularizers, training
from pipeline.assembly.machine import Machine
from pipeline.assembly.run_record import run_record
from pipeline.assembly.training_plan import training_examples
from pipeline.assembly.transforms import train_transform
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.imagenet import MEAN, STD
from pipeline.core.recipe import Recipe
from pipeline.core.records import PhaseRecord, Record, WeightsRecord
from pipeline.core.source_record import SourceRecord
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks import freezing
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.regularizers.feature_regularizer import FeatureRegularizer
from pipeline.regularizers.l2_sp import L2SP
from pipeline.regularizers.table import METHODS as TABLE
from pipeline.stages import train
from pipeline.training import checkpoints, contract, loop, optim

SIDE = tiny.SIDE
CLASSES = ["a", "b", "c"]
METHODS = sorted(TABLE)
LAYERS = [f"layer{number}.1.conv2" for number in (1, 2, 3, 4)]
PARTS = {"train": torch.arange(12), "val": torch.arange(0), "test": torch.arange(0)}
ONE_STEP = {"unit": "iterations", "amount": 1}
MACHINE = Machine(torch.device("cpu"), 1, "fp32")


def packed() -> Packed:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (12, 3, SIDE, SIDE), dtype=np.uint8)
    labels = np.arange(12) % 3
    return Packed(images, [f"{n}.png" for n in range(12)], labels, CLASSES, MEAN, STD, "d" * 64)


def recipe(
    method: str,
    changes: Mapping[str, Any] | None = None,
    *,
    freeze: str = "3c",
    options: Mapping[str, Any] | None = None,
    momentum: float = 0.9,
) -> Recipe:
    """Return the quick recipe for two epochs of three steps, with `options` for every method that has them."""
    budget = {"unit": "epochs", "amount": 2}
    train = {"train.budget": budget, "train.batch_size": 4, "train.optimizer": "sgd"}
    own = {
        f"options.regularizer.{name}.{key}": value
        for name, known in tiny.values()["options"]["regularizer"].items()
        for key, value in ({"budget": budget} | dict(options or {})).items()
        if key in known
    }
    experiment = train | {"options.optimizer.sgd.momentum": momentum} | own | dict(changes or {})
    return tiny.experiment(experiment, regularizer=method, freeze="auto" if method == "l2_fe" else freeze)


@torch.no_grad()
def calibrate(network: Network) -> None:
    """Give batch norms the statistics of the images, as pre-trained ones have; else reference maps are enormous."""
    pixels = torch.from_numpy(packed().images).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    for _ in range(30):
        network(pixels)


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, a project with pre-trained weights of a narrow network."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        root = tiny.enter(tmp_path_factory.mktemp("regularizing"), patch)
        torch.manual_seed(7)
        network = build(networks.plan(recipe("none"), classes=3), pretrained=None)
        calibrate(network)
        pretrained = {name: value for name, value in network.model.state_dict().items() if not name.startswith("fc.")}
        paths.SOURCE.mkdir(parents=True)
        checkpoints.save(pretrained, paths.SOURCE_WEIGHTS)
        described = WeightsRecord(origin="random values", license="", file_sha256="", sha256="e" * 64)
        SourceRecord(backbone="resnet18", weights=described).write(paths.SOURCE_RECORD)
        digests.seal(paths.SOURCE)
        yield root


class Recording(FeatureRegularizer):
    """Loss term that records its arguments and how many images its reference ran on."""

    def __init__(self, network: Any, reference: Any, regularizer: Any, hooked_layers: Any, *, stop: int) -> None:
        super().__init__(network, reference, regularizer, hooked_layers, stop=stop)
        self.network, self.frozen, self.regularizer, self.hooked_layers = (
            network,
            reference,
            regularizer,
            tuple(hooked_layers),
        )
        self.reference_before = deepcopy(reference.model.state_dict())
        self.network_before = deepcopy(network.model.state_dict())
        self.own_before = deepcopy(regularizer.state_dict())
        self.reference_images = 0

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        self.reference_images += len(x)
        return super().reference(x, start=start)


class Ran(NamedTuple):
    """Results of one training."""

    network: Network
    result: contract.TrainResult
    record: Record
    loss_terms: list[Recording]
    optimizers: list[torch.optim.Optimizer]
    after_epochs: list[dict[str, Tensor]]


def run(experiment: Recipe, *, repeat: int = 1) -> Ran:
    """Train once; record every loss term and optimizer, and the network after each epoch."""
    terms: list[Recording] = []
    optimizers: list[torch.optim.Optimizer] = []
    after: list[dict[str, Tensor]] = []
    plain = optim.make_optimizer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pipeline.assembly.loss_terms.FeatureRegularizer",
            lambda *a, **k: terms.append(Recording(*a, **k)) or terms[-1],
        )
        patch.setattr(optim, "make_optimizer", lambda *a, **k: optimizers.append(plain(*a, **k)) or optimizers[-1])
        network = networks.initial(experiment, classes=3, repeat=repeat)
        data = packed()
        record = run_record(experiment, data, PARTS, network, on=MACHINE, repeat=repeat)
        result = training.run(
            experiment,
            network,
            data,
            PARTS,
            record,
            on=MACHINE,
            on_epoch=lambda _row: after.append(deepcopy(network.model.state_dict())),
        )
    return Ran(network, result, record, terms, optimizers, after)


_cache: dict[str, Ran] = {}


def ran(method: str) -> Ran:
    """Return the training with the recipe's own options, run once per method."""
    if method not in _cache:
        _cache[method] = run(recipe(method))
    return _cache[method]


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


TERMS = {
    "none": [[], []],
    "l2": [[], []],
    "l2_fe": [[], []],
    "afa": [["ast"], ["act"]],
    "spa_gca": [["spa"], ["gca"]],
} | {method: [[method], [method]] for method in ("l2_sp", "delta", "ast", "act", "spa", "gca")}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_to_finite_curves_with_its_own_columns(method: str) -> None:
    history = ran(method).result.history
    plain = ["epoch", "iteration", "lr", "train_loss", "train_accuracy"]
    assert [(row["epoch"], row["iteration"]) for row in history] == [(1, 3), (2, 6)]
    for row, terms in zip(history, TERMS[method], strict=True):
        added = [*(f"train_{term}" for term in terms), *(["train_head_penalty"] if terms else [])]
        hooked = ["layer4.1.conv2"] if terms and terms != ["l2_sp"] else []
        diagnoses = [f"{name}/{layer}" for layer in hooked for name in ("entropy", "maximum", "mass")]
        assert list(row) == [*plain, *added, *diagnoses]
        assert all(math.isfinite(value) for value in row.values())


@pytest.mark.parametrize("method", ["spa", "gca", "ast", "act", "delta", "l2_sp", "spa_gca", "afa"])
def test_the_reference_is_unchanged_bit_for_bit_and_has_no_gradient(method: str) -> None:
    trained_run = ran(method)
    pretrained = checkpoints.read(paths.SOURCE_WEIGHTS)
    first = trained_run.loss_terms[0].frozen.model.state_dict()
    assert all(torch.equal(first[name], value) for name, value in pretrained.items())
    for loss_term in trained_run.loss_terms:
        assert same(loss_term.frozen.model.state_dict(), loss_term.reference_before)
        assert all(p.grad is None and not p.requires_grad for p in loss_term.frozen.parameters())
        assert not loss_term.frozen.training
    assert not same(trained_run.network.model.state_dict(), trained_run.loss_terms[0].network_before)


@pytest.mark.parametrize("method", ["spa", "act"])
def test_what_a_method_learns_is_a_group_of_its_own_and_moves(method: str) -> None:
    trained_run = run(recipe(method, {"train.weight_decay": 0.1}, options={"weight_decay": "auto"}))
    groups = {group["name"]: group for group in trained_run.optimizers[0].param_groups}
    own = groups[optim.REGULARIZER]
    assert [id(p) for p in own["params"]] == [id(p) for p in trained_run.loss_terms[0].regularizer.parameters()]
    assert own["weight_decay"] == 0
    assert groups["backbone"]["weight_decay"] == 0.1
    assert own["lr"] == groups["backbone"]["lr"]
    assert not same(trained_run.loss_terms[0].regularizer.state_dict(), trained_run.loss_terms[0].own_before)


@pytest.mark.parametrize("method", ["gca"])
def test_nothing_but_its_own_term_moves_what_a_method_learns(method: str) -> None:
    trained_run = run(recipe(method, options={"alpha": 0.0}))
    assert same(trained_run.loss_terms[0].regularizer.state_dict(), trained_run.loss_terms[0].own_before)


@pytest.mark.parametrize("method", ["gca", "l2_sp", "spa_gca"])
def test_terms_that_weigh_nothing_leave_the_network_that_no_method_gives_bit_for_bit(method: str) -> None:
    dropout = {"network.head": "mlp1024"}
    # A second half begins its momentum anew.
    momentum = 0.0 if method == "spa_gca" else 0.9
    none = run(recipe("none", dropout, momentum=momentum)).network.model.state_dict()
    trained_run = run(recipe(method, dropout, options={"alpha": 0.0, "beta": 0.0}, momentum=momentum))
    assert len(trained_run.loss_terms) == (2 if method == "spa_gca" else 1)
    assert same(trained_run.network.model.state_dict(), none)


@pytest.mark.parametrize("method", ["none", "l2", "l2_fe"])
def test_a_method_without_terms_has_no_loss_term_and_costs_nothing(method: str) -> None:
    trained_run = ran(method)
    assert trained_run.loss_terms == []
    experiment = recipe(method)
    network = networks.initial(experiment, classes=3, repeat=1)
    examples = training_examples(packed(), PARTS, MACHINE.device, train_transform(experiment))
    terms = loss_terms.loss_terms(
        experiment, network, trained_run.record, data_sha256="d" * 64, eval_examples=lambda: examples
    )
    assert terms == []
    freezing.freeze(network, experiment.network.freeze)
    loop.fit(network, examples, loop_settings.loop_settings(experiment), seed=1)
    assert same(trained_run.network.model.state_dict(), network.model.state_dict())


def test_l2_is_weight_decay_alone() -> None:
    decayed = run(recipe("none", {"train.weight_decay": 1e-4}))
    assert same(ran("l2").network.model.state_dict(), decayed.network.model.state_dict())
    assert not same(ran("l2").network.model.state_dict(), ran("none").network.model.state_dict())


def test_l2_fe_moves_the_head_alone() -> None:
    trained, start = ran("l2_fe").network.model.state_dict(), checkpoints.read(paths.SOURCE_WEIGHTS)
    assert all(torch.equal(trained[name], value) for name, value in start.items())


def test_a_strong_method_keeps_the_network_nearer_to_where_it_started() -> None:
    start, far = checkpoints.read(paths.SOURCE_WEIGHTS), []
    for trained_run in (ran("none"), run(recipe("l2_sp", options={"alpha": 500.0}))):
        trained = trained_run.network.model.state_dict()
        far.append(sum((trained[n] - start[n]).square().sum().item() for n in start if n.endswith("conv2.weight")))
    assert far[1] < 0.9 * far[0]


@pytest.fixture(scope="module")
def whole(project: Path) -> Ran:
    """Both halves of the proposed method with everything training, an epoch each."""
    return run(recipe("spa_gca", {"train.lr": 1e-5}, freeze="2"))


def test_the_second_halfs_reference_is_the_network_as_the_first_half_left_it(whole: Ran) -> None:
    first, second = whole.loss_terms
    left = whole.after_epochs[0]
    assert same(second.reference_before, left)
    assert same(second.network_before, left)
    assert same(second.frozen.model.state_dict(), left)
    moved = [name for name in left if "running" in name and not torch.equal(left[name], first.reference_before[name])]
    assert len(moved) == sum("running" in name for name in left) > 0
    assert second.frozen is not whole.network


def test_each_half_has_a_method_and_an_optimizer_of_its_own(whole: Ran) -> None:
    assert [loss_term.regularizer.name for loss_term in whole.loss_terms] == ["spa", "gca"]
    first, second = whole.optimizers
    own = [next(g["params"] for g in one.param_groups if g["name"] == optim.REGULARIZER) for one in (first, second)]
    assert not {id(p) for p in own[0]} & {id(p) for p in own[1]}
    # Momentum was begun anew, and counted what trains now alone.
    assert len(second.state) == sum(p.requires_grad for p in whole.network.parameters()) + len(own[1])


def test_the_curves_and_the_record_have_both_halves(whole: Ran) -> None:
    history = whole.result.history
    assert [(row["epoch"], row["iteration"]) for row in history] == [(1, 3), (2, 6)]
    for row, name, other in zip(history, ("spa", "gca"), ("gca", "spa"), strict=True):
        assert f"train_{name}" in row
        assert f"train_{other}" not in row
        assert {f"entropy/{layer}" for layer in LAYERS} < row.keys()
    phases = whole.record.phases
    assert [(p.regularizer, p.amount, p.freeze) for p in phases] == [("spa", 1, "2"), ("gca", 1, "2")]
    assert [p.hooked_layers for p in phases] == [tuple(LAYERS), tuple(LAYERS)]
    own = [sum(p.numel() for p in loss_term.regularizer.parameters()) for loss_term in whole.loss_terms]
    assert [p.regularizer_parameters for p in phases] == own
    assert whole.record.parameters.regularizer == sum(own)


def test_the_file_of_the_curves_has_the_columns_of_both_halves(whole: Ran) -> None:
    train.write_history(whole.result, whole.record, {}, None)
    with (paths.training_metrics(1) / "history.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["train_spa"]) == pytest.approx(whole.result.history[0]["train_spa"])
    assert (rows[0]["train_gca"], rows[1]["train_spa"]) == ("", "")
    assert float(rows[1]["train_gca"]) == pytest.approx(whole.result.history[1]["train_gca"])


def test_the_first_step_of_a_half_has_no_difference_but_that_of_train_mode() -> None:
    trained_run = run(recipe("spa_gca", {"train.freeze_bn_stats": True, "train.lr": 1e-30}))
    assert all(row[f"train_{name}"] == 0 for row, name in zip(trained_run.result.history, ("spa", "gca"), strict=True))


def test_the_same_repeat_learns_the_same_and_another_begins_elsewhere() -> None:
    again, other = run(recipe("gca")), run(recipe("gca", {"train.budget": ONE_STEP}), repeat=2)
    assert same(again.network.model.state_dict(), ran("gca").network.model.state_dict())
    assert same(again.loss_terms[0].own_before, ran("gca").loss_terms[0].own_before)
    assert not same(other.loss_terms[0].own_before, ran("gca").loss_terms[0].own_before)


def test_the_reference_runs_once_an_image_and_half_where_images_repeat(whole: Ran) -> None:
    # One image more, to see whether all fit.
    assert [loss_term.reference_images for loss_term in whole.loss_terms] == [12 + 1, 12 + 1]
    assert whole.result.cache_seconds > 0


@pytest.mark.parametrize(
    "changes",
    [{"train.feature_cache_mb": 0}, {"data.augmentation": "flip"}, {"data.crop_size": 32}],
    ids=["no room", "flips", "crops"],
)
def test_the_reference_runs_each_epoch_where_nothing_is_cached(changes: Any) -> None:
    trained_run = run(recipe("spa", changes))
    assert [loss_term.reference_images for loss_term in trained_run.loss_terms] == [2 * 12]
    assert trained_run.result.cache_seconds == 0


def test_cached_maps_give_the_network_that_computing_them_anew_gives() -> None:
    trained = [run(recipe("spa_gca", {"train.feature_cache_mb": room}, freeze="3b")) for room in (64, 0)]
    cached, anew = (one.network.model.state_dict() for one in trained)
    for name, value in cached.items():
        torch.testing.assert_close(value, anew[name], rtol=0, atol=1e-5)


def compared(method: str = "spa", changes: Mapping[str, Any] | None = None, **axes: Any) -> tuple[PhaseRecord, ...]:
    experiment = recipe(method, changes, **axes)
    return regularizers.phase_records(experiment, networks.structure(experiment, classes=3))


@pytest.mark.parametrize(("freeze", "idle"), [("2", 0), ("3a", 1), ("3b", 2), ("3c", 3), ("1", 4)])
def test_layers_in_front_of_all_that_trains_are_idle(freeze: str, idle: int) -> None:
    [part] = compared(freeze=freeze)
    assert (part.hooked_layers, part.idle_layers) == (tuple(LAYERS[idle:]), tuple(LAYERS[:idle]))
    assert (part.regularizer_parameters == 0) == (idle == 4)


def test_attention_in_frozen_blocks_makes_their_layers_count_again() -> None:
    [in_blocks] = compared(changes={"network.attention": "ca"}, freeze="1")
    assert in_blocks.idle_layers == ()
    after_stages = compared(changes={"network.attention": "se"}, freeze="1")[0]
    assert (after_stages.hooked_layers, after_stages.idle_layers) == (tuple(LAYERS[1:]), tuple(LAYERS[:1]))
    assert compared(changes={"network.attention": "self"}, freeze="1")[0].hooked_layers == ()


def test_phases_each_compare_what_is_behind_what_they_freeze() -> None:
    phases = [{"freeze": "1", "amount": 1, "lr": 1e-3}, {"freeze": "layer3.1", "amount": 1, "lr": 1e-3}]
    changes = {"network.freeze": "phases", "train.phases": phases}
    assert [part.hooked_layers for part in compared(changes=changes, freeze="auto")] == [(), tuple(LAYERS[2:])]
    trained_run = run(recipe("spa", changes, freeze="auto"))
    assert [loss_term.hooked_layers for loss_term in trained_run.loss_terms] == [(), tuple(LAYERS[2:])]
    assert "train_spa" not in trained_run.result.history[0]
    assert trained_run.result.history[0]["train_head_penalty"] > 0
    assert same(trained_run.loss_terms[1].reference_before, trained_run.loss_terms[0].reference_before)


def test_a_phase_does_not_freeze_what_is_in_front_of_maps_and_was_trained() -> None:
    phases = [{"freeze": "layer3.1", "amount": 1, "lr": 1e-3}, {"freeze": "3c", "amount": 1, "lr": 1e-3}]
    changes = {"network.freeze": "phases", "train.phases": phases}
    assert len(compared("l2_sp", changes, freeze="auto")) == 2
    refused = r"^train\.phases: '3c' freezes layers that an earlier phase trains, and regularizer 'spa' compares with"
    with pytest.raises(InputError, match=refused):
        compared("spa", changes, freeze="auto")


def test_pretrained_layers_of_the_classifier_are_held_and_only_its_last_is_penalized() -> None:
    changes = {"network.backbone": "vgg16", "network.head": "torchvision", "data.crop_size": 32}
    experiment = recipe("l2_sp", changes, freeze="2")
    network = networks.structure(experiment, classes=3)
    pretrained = experiment.model_copy(update={"network": experiment.network.model_copy(update={"weights": "file"})})
    assert regularizers.new_head(pretrained, network) == "classifier.6"
    regularizer = regularizers.make(pretrained, network, "l2_sp", reference=network)
    assert isinstance(regularizer, L2SP)
    assert {"classifier.0.weight", "classifier.3.weight"} <= set(regularizer.start)
    assert "classifier.6.weight" not in regularizer.start
    none = experiment.model_copy(update={"network": experiment.network.model_copy(update={"weights": "none"})})
    assert regularizers.new_head(none, network) == "classifier"
    hidden = [f"classifier.{layer}.{value}" for layer in (0, 3) for value in ("weight", "bias")]
    for of, expected in ((pretrained, hidden), (none, [])):
        names = regularizers.pretrained_values(of, network)
        assert [name for name in names if name.startswith("classifier.")] == expected
        assert {"features.0.weight", "features.28.bias"} <= names.keys()


@pytest.mark.parametrize("method", ["gca", "delta"])
def test_where_every_layer_is_idle_only_the_heads_decay_is_left(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_weights, "trained_head", None)  # no channel is worth weighing
    trained_run = run(recipe(method, freeze="1"))
    assert [row["train_head_penalty"] > 0 for row in trained_run.result.history] == [True, True]
    assert [loss_term.reference_images for loss_term in trained_run.loss_terms if loss_term.hooked_layers] == []
    assert not any("/" in name for row in trained_run.result.history for name in row)


def test_the_reference_of_a_network_with_attention_is_the_plain_one() -> None:
    trained_run = run(recipe("gca", {"network.attention": "ca"}, freeze="1"))
    reference = trained_run.loss_terms[0].frozen
    assert reference.inserted == ()
    start = checkpoints.read(paths.SOURCE_WEIGHTS)
    assert all(torch.equal(reference.model.state_dict()[name], value) for name, value in start.items())
    assert trained_run.loss_terms[0].hooked_layers == tuple(LAYERS)
    assert not trained_run.loss_terms[0].frozen.training
    assert all(math.isfinite(value) for row in trained_run.result.history for value in row.values())


def test_the_reference_of_a_second_half_has_the_attention_that_the_first_half_trained() -> None:
    trained_run = run(recipe("spa_gca", {"network.attention": "se"}, freeze="1"))
    assert same(trained_run.loss_terms[1].reference_before, trained_run.after_epochs[0])
    assert trained_run.loss_terms[1].frozen.inserted


def test_l2_sp_leaves_attention_and_head_free() -> None:
    experiment = recipe("l2_sp", {"network.attention": "ca"}, freeze="2", options={"covers": "all"})
    network = networks.initial(experiment, classes=3, repeat=1)
    start = checkpoints.read(paths.SOURCE_WEIGHTS)
    reference = loss_terms.reference_network(experiment, network, classes=3)
    regularizer = regularizers.make(experiment, network, "l2_sp", reference=reference)
    assert isinstance(regularizer, L2SP)
    held = set(regularizer.start)
    assert held == {name for name in start if "running" not in name and "num_batches" not in name}


def test_a_term_alone_that_is_not_finite_names_epoch_step_and_files() -> None:
    experiment = recipe("gca")
    # More than params.yaml may say.
    own = {"gca": experiment.options_of("regularizer", "gca") | {"alpha": 1e38}}
    huge = experiment.model_copy(update={"options": {**experiment.options, "regularizer": own}})
    with pytest.raises(InputError, match=r"^the loss is not finite in epoch 1, step [12]; a smaller lr .*\.png"):
        run(huge)


@pytest.mark.parametrize("method", ["ast", "act", "spa", "gca", "spa_gca", "afa"])
def test_a_network_of_tokens_has_no_maps_to_compare(method: str) -> None:
    changes = {"network.backbone": "vit_b_16", "data.crop_size": 32}
    experiment = recipe(method, changes, freeze="2")
    with pytest.raises(InputError) as caught:
        regularizers.phase_records(experiment, networks.structure(experiment, classes=3))
    assert "needs feature maps (C, H, W)" in str(caught.value)
    assert str(caught.value).endswith("use l2 or l2_sp")


@pytest.mark.parametrize("backbone", ["googlenet", "vit_b_16"])
def test_filters_are_not_weighed_where_layers_are_no_convolutions(backbone: str) -> None:
    changes = {"network.backbone": backbone, "data.crop_size": 32}
    experiment = recipe("delta", changes, freeze="2")
    with pytest.raises(InputError, match=r"regularizer 'delta': .* is not a convolution but \w+; use another method"):
        regularizers.phase_records(experiment, networks.structure(experiment, classes=3))


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2", "vgg16", "efficientnet_b0", "efficientnet_lite0"])
def test_every_convolutional_backbone_has_layers_that_a_method_takes(backbone: str) -> None:
    [part] = compared("gca", {"network.backbone": backbone, "data.input_size": 64}, freeze="2")
    assert len(part.hooked_layers or ()) == 4
    assert part.regularizer_parameters


def test_describing_a_run_draws_nothing_and_leaves_what_trains() -> None:
    experiment = recipe("spa_gca", freeze="3b")
    network = networks.initial(experiment, classes=3, repeat=1)
    before, state = deepcopy(network.state_dict()), torch.random.get_rng_state()
    run_record(experiment, packed(), PARTS, network, on=MACHINE, repeat=1)
    assert same(network.state_dict(), before)
    assert torch.equal(torch.random.get_rng_state(), state)
