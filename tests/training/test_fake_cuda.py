"""Steps of training on a GPU that is not there: which tensors meet on which device, and what is copied between them.

Every backbone, attention, regularizer and augmentation trains for two steps by the loop itself and predicts, in torch's
`FakeTensorMode`: shapes, types and devices are worked out, values are not. So it fails where a tensor on the CPU meets
one on the GPU, where a value is read from the GPU, and where a step copies anything between the two.

It cannot reach: values, and so memory, speed, determinism and what CUDA's kernels refuse (in deterministic mode too);
the backward pass, whose gradients are made up; fused and foreach optimizers, for which torch takes its loops here; what
is read once an epoch; what is computed before the first step, as the channel weights of
`delta` and a head that is solved; and the reading of images that do not fit on the GPU.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fake_cuda
import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException

from pipeline.assembly import loss_terms, networks, regularizers
from pipeline.assembly.training_plan import training_plan
from pipeline.assembly.transforms import train_transform
from pipeline.core.loop_settings import loop_settings
from pipeline.core.recipe import Recipe
from pipeline.datasets.transforms.table import AUGMENTATIONS
from pipeline.networks import resizing
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.network import Network
from pipeline.regularizers.table import METHODS
from pipeline.training import contract, loop, predict
from pipeline.training.images import Images

pytestmark = pytest.mark.slow

CLASSES, STEPS = 3, 2
SHORT = {"train.batch_size": 4, "train.budget": tiny.ONE_EPOCH}
Gpu = fake_cuda.FakeCuda


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    with fake_cuda.fake_cuda(monkeypatch) as mode:
        yield mode


def predicted(
    network: contract.Trainable,
    features: predict.Features,
    examples: contract.Examples,
    settings: contract.Settings,
    **options: Any,
) -> contract.Row:
    """Take the place of `validate`, which reads the scores."""
    scores = predict.predict(network, features, examples.val, settings, device=fake_cuda.GPU, **options)
    assert scores.shape == (len(examples.val), CLASSES)
    return {}


def train(
    patch: pytest.MonkeyPatch,
    changes: Mapping[str, Any] | None = None,
    plant: Callable[[Network], object] = lambda _: None,
    **axes: Any,
) -> None:
    """Train for an epoch of two steps, the second with fewer images, or for two phases of that."""
    recipe = tiny.experiment(SHORT | dict(changes or {}), **axes)
    network = networks.structure(recipe, classes=CLASSES)
    fake_cuda.put_on_gpu(network)
    plant(network)
    side, rows = recipe.data.image_size, torch.arange(8)
    images = Images(
        np.zeros((8, 3, side, side), np.uint8),
        rows,
        mean=recipe.data.mean,
        std=recipe.data.std,
        device=fake_cuda.GPU,
        transform=train_transform(recipe),
    )
    examples = contract.Examples(images, rows % CLASSES, rows[:6], rows[6:])
    plan = training_plan(recipe, network, terms(recipe, network))
    patch.setattr(loop, "validate", predicted)
    result = loop.fit(network, examples, loop_settings(recipe), seed=1, plan=plan, name=None)
    assert result.history[-1]["iteration"] == STEPS * recipe.train.budget.amount


def terms(recipe: Recipe, network: Network) -> list[Callable[[], contract.LossTerm | None]]:
    if not any(regularizers.adds_to_the_loss(phase.regularizer) for phase in recipe.train.phases):
        return []
    reference = loss_terms.reference_network(recipe, network, classes=CLASSES)
    return [*loss_terms.LossTerms(recipe, network, reference=reference, repeat=0).makers()]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_step_of_every_backbone(gpu: Gpu, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    train(monkeypatch, {"network.backbone": name}, weights="none", freeze="3b")
    assert gpu.copies == []


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_step_of_every_attention(gpu: Gpu, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    train(monkeypatch, attention=name, freeze="2")
    assert gpu.copies == []


# A copy of a fake parameter asks for its address, by which torch tells whether it has values.
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_every_regularizer(gpu: Gpu, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    # Two epochs, since a sequence of methods has one of each.
    budget = {"train.budget": {"unit": "epochs", "amount": 2}}
    train(monkeypatch, budget, regularizer=name, freeze="auto" if METHODS[name].trains_head_alone else "3b")
    assert gpu.copies == []


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_step_of_every_augmentation(gpu: Gpu, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    train(monkeypatch, augmentation=name, freeze="3b")
    # Those of torchvision's policies are images, which it varies on the CPU.
    images = STEPS if name in ("trivial_augment", "rand_augment") else 0
    assert gpu.copies == ["aten._to_copy.default"] * images


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("room", [0, 64], ids=["computed", "cached"])
def test_a_step_in_each_precision_with_and_without_cached_features(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, precision: str, room: int
) -> None:
    train(monkeypatch, {"train.precision": precision, "train.feature_cache_mb": room}, freeze="3b", regularizer="spa")
    assert gpu.copies == []


def test_a_step_with_all_that_varies_a_loss(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = {"train.mixup": 0.4, "train.cutmix": 1.0, "train.label_smoothing": 0.1}
    weighed = {"train.class_weights": "balanced", "train.weight_ema": 0.9}
    train(monkeypatch, mixed | weighed, freeze="3b")
    assert gpu.copies == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maps_are_resized_on_the_gpu_in_their_type(gpu: Gpu, dtype: torch.dtype) -> None:
    maps = torch.empty(2, 1, 8, 9, device=fake_cuda.GPU, dtype=dtype)
    gpu.in_step = True
    with torch.autocast("cuda", torch.bfloat16):
        for resized in (resizing.average(maps, 7), resizing.bilinear(maps, 7, 7)):
            assert (resized.shape, resized.dtype) == ((2, 1, 7, 7), dtype)
    assert gpu.copies == []


class Planted(nn.Module):
    """A mistake in the place of a network's first layer."""

    def __init__(self, mistake: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.mistake = mistake

    def forward(self, x: Tensor) -> Tensor:
        return self.mistake(x)


def planted(patch: pytest.MonkeyPatch, mistake: Callable[[Tensor], Tensor]) -> None:
    train(
        patch,
        {"train.feature_cache_mb": 0},
        lambda network: network.model.set_submodule("relu", Planted(mistake)),
        freeze="2",
    )


@pytest.mark.usefixtures("gpu")
def test_a_tensor_that_stayed_on_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    constant = torch.ones(1, 64, 1, 1)
    with pytest.raises(RuntimeError, match="device"):
        planted(monkeypatch, lambda x: x * constant)


@pytest.mark.usefixtures("gpu")
def test_a_value_that_is_read_in_a_step_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataDependentOutputException):
        planted(monkeypatch, lambda x: x / x.amax().item())


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x * torch.tensor(2.0, device=x.device),
        lambda x: x * torch.ones(1).to(x.device),
        lambda x: x[torch.arange(len(x))],
        lambda x: (x.cpu(), x)[1],
    ],
    ids=["number", "tensor", "index", "back"],
)
def test_a_copy_in_a_step_is_noticed(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[Tensor], Tensor]
) -> None:
    planted(monkeypatch, mistake)
    assert len(gpu.copies) == STEPS
