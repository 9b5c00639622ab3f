"""Steps of training on a simulated GPU: which tensors meet on which device, what is copied, and what comes out.

Every backbone, attention, regularizer and augmentation trains for two steps by the loop itself, and gives what the CPU
gives, bit for bit. What the simulation cannot show is told in `simulated_gpu`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import simulated_gpu
import tiny
import torch
from torch import Tensor, nn

from pipeline.assembly import loss_terms, networks, regularizers
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.training_plan import training_plan
from pipeline.assembly.transforms import train_transform
from pipeline.core import seeding
from pipeline.core.recipe import Recipe
from pipeline.datasets.transforms.table import AUGMENTATIONS
from pipeline.networks import resizing
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.network import Network
from pipeline.regularizers.table import METHODS
from pipeline.training import batches, contract, loop
from pipeline.training.epoch import Epoch
from pipeline.training.images import Images

pytestmark = pytest.mark.slow

CLASSES, STEPS = 3, 2
SHORT = {"train.batch_size": 4, "train.budget": tiny.ONE_EPOCH}
CPU, GPU = simulated_gpu.CPU, simulated_gpu.GPU


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    seeding.make_exact(threads=1, device="cuda", precision="fp32")
    yield
    torch.set_deterministic_debug_mode("default")


def count_copies(mode: simulated_gpu.SimulatedGpu, patch: pytest.MonkeyPatch) -> None:
    """Count from behind an epoch's batches to the reading of its means."""
    of_epoch, scores = batches.of_epoch, Epoch.scores

    def counted(*arguments: Any, **options: Any) -> list[batches.Batch]:
        epoch = of_epoch(*arguments, **options)
        mode.in_step = True
        return epoch

    def read(epoch: Epoch) -> dict[str, float]:
        mode.in_step = False
        return scores(epoch)

    patch.setattr(batches, "of_epoch", counted)
    patch.setattr(Epoch, "scores", read)


def trained(
    recipe: Recipe, device: torch.device, plant: Callable[[Network], object] = lambda _: None
) -> tuple[contract.TrainResult, dict[str, Tensor]]:
    """Train for epochs of two steps, the second with fewer images; return the history and all values."""
    network = networks.initial(recipe, classes=CLASSES, repeat=1).to(device)
    plant(network)
    side, rows = recipe.data.image_size, torch.arange(8)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3, side, side), dtype=np.uint8)
    transform = train_transform(recipe)
    images = Images(pixels, rows, mean=recipe.data.mean, std=recipe.data.std, device=device, transform=transform)
    examples = contract.Examples(images, rows % CLASSES, rows[:6], rows[6:])
    plan = training_plan(recipe, network, terms(recipe, network))
    result = loop.fit(network, examples, loop_settings(recipe), seed=1, plan=plan, name=None)
    return result, {name: value.cpu() for name, value in network.state_dict().items()}


def terms(recipe: Recipe, network: Network) -> list[Callable[[], contract.LossTerm | None]]:
    if not any(regularizers.adds_to_the_loss(phase.regularizer) for phase in recipe.train.phases):
        return []
    reference = loss_terms.reference_network(recipe, network, classes=CLASSES)
    return [*loss_terms.LossTerms(recipe, network, reference=reference, repeat=0).makers()]


def train(
    changes: Mapping[str, Any] | None = None, plant: Callable[[Network], object] = lambda _: None, **axes: Any
) -> list[str]:
    """Train on the GPU; return what was copied in its steps."""
    recipe = tiny.experiment(SHORT | dict(changes or {}), weights="none", **axes)
    with simulated_gpu.simulated_gpu() as mode, pytest.MonkeyPatch.context() as patch:
        count_copies(mode, patch)
        trained(recipe, GPU, plant)
        return mode.copies


def check(changes: Mapping[str, Any] | None = None, *, tolerance: float = 0.0, **axes: Any) -> list[str]:
    """Train on the CPU and on the GPU, which end alike; return what was copied in the steps."""
    recipe = tiny.experiment(SHORT | dict(changes or {}), weights="none", **axes)
    plain, values = trained(recipe, CPU)
    with simulated_gpu.simulated_gpu() as mode, pytest.MonkeyPatch.context() as patch:
        count_copies(mode, patch)
        result, found = trained(recipe, GPU)
    assert result.history[-1]["iteration"] == STEPS * recipe.train.budget.amount
    assert result.history == [pytest.approx(row, rel=max(tolerance, 1e-6)) for row in plain.history]
    for name, value in values.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance)
    return mode.copies


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone(name: str) -> None:
    assert check({"network.backbone": name}, freeze="2") == []


@pytest.mark.parametrize("name", ATTENTIONS)
def test_every_attention(name: str) -> None:
    # Resized on a GPU by products of matrices, and behind Adam's first steps, which are as long however small a
    # gradient is.
    tolerance = 2e-3 if name == "hierarchical" else 0.0
    assert check(tolerance=tolerance, attention=name, freeze="2") == []


@pytest.mark.parametrize("name", METHODS)
def test_every_regularizer(name: str) -> None:
    # Two epochs, since a sequence of methods has one of each.
    budget = {"train.budget": {"unit": "epochs", "amount": 2}}
    assert check(budget, regularizer=name, freeze="auto" if METHODS[name].trains_head_alone else "3b") == []


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation(name: str) -> None:
    # Those of torchvision's policies are images, which it varies on the CPU.
    images = STEPS if name in ("trivial_augment", "rand_augment") else 0
    assert check(augmentation=name, freeze="3b") == ["to"] * images


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("room", [0, 64], ids=["computed", "cached"])
def test_each_precision_with_and_without_cached_features(precision: str, room: int) -> None:
    changes = {"train.precision": precision, "train.feature_cache_mb": room}
    assert check(changes, freeze="3b", regularizer="spa") == []


def test_all_that_varies_a_loss() -> None:
    mixed = {"train.mixup": 0.4, "train.cutmix": 1.0, "train.label_smoothing": 0.1}
    weighed = {"train.class_weights": "balanced", "train.weight_ema": 0.9}
    assert check(mixed | weighed, freeze="3b") == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maps_are_resized_on_the_gpu_in_their_type(dtype: torch.dtype) -> None:
    with simulated_gpu.simulated_gpu() as mode:
        maps = torch.ones(2, 1, 8, 9, device=GPU, dtype=dtype)
        mode.in_step = True
        with torch.autocast("cuda", torch.bfloat16):
            for resized in (resizing.average(maps, 7), resizing.bilinear(maps, 7, 7)):
                assert (resized.shape, resized.dtype, resized.device) == ((2, 1, 7, 7), dtype, GPU)
        assert mode.copies == []


class Planted(nn.Module):
    """A mistake in the place of a network's first layer."""

    def __init__(self, mistake: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.mistake = mistake

    def forward(self, x: Tensor) -> Tensor:
        return self.mistake(x)


def planted(mistake: Callable[[Tensor], Tensor]) -> list[str]:
    changes = {"train.feature_cache_mb": 0}
    return train(changes, lambda network: network.model.set_submodule("relu", Planted(mistake)), freeze="2")


def test_a_tensor_that_stayed_on_the_cpu_is_noticed() -> None:
    constant = torch.ones(1, 64, 1, 1)
    with pytest.raises(RuntimeError, match="same device"):
        planted(lambda x: x * constant)


def test_what_has_no_deterministic_gradient_on_a_gpu_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="upsample_bilinear2d_backward does not have a deterministic"):
        planted(lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear"))


def test_what_numpy_would_read_from_a_gpu_is_noticed() -> None:
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        planted(lambda x: x * float(np.asarray(x.detach()).max()))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x / x.amax().item(),
        lambda x: x * torch.tensor(2.0, device=x.device),
        lambda x: x * torch.ones(1).to(x.device),
        lambda x: x[torch.arange(len(x))],
        lambda x: (x.cpu(), x)[1],
    ],
    ids=["value", "number", "tensor", "index", "back"],
)
def test_a_copy_in_a_step_is_noticed(mistake: Callable[[Tensor], Tensor]) -> None:
    assert len(planted(mistake)) == STEPS
