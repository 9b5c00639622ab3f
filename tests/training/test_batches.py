import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.training import batches
from pipeline.training.contract import Examples, TrainingPlan
from pipeline.training.features import Features
from pipeline.training.images import Images, ImageTransform

# The second stands for a GPU: tensors on it have a place and no values.
CPU, GPU = torch.device("cpu"), torch.device("meta")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ARRAY = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
ROWS = torch.arange(50)


class Shifted:
    """Transform to the upper left quarter, shifted to the right in training by the first random parameter."""

    input_size = 4

    def __init__(self, random_parameters: int = 2, *, computes_on_cpu: bool = False) -> None:
        self.random_parameters = random_parameters
        self.computes_on_cpu = computes_on_cpu

    def eval_transform(self, images: Tensor) -> Tensor:
        return images[..., :4, :4]

    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        assert random_parameters.shape == (len(images), self.random_parameters)
        starts = (random_parameters[:, 0] * 5).long().tolist()
        pairs = zip(images, starts, strict=True)
        return torch.stack([image[:, :4, start : start + 4] for image, start in pairs]).float()


def images(transform: ImageTransform | None = None, device: torch.device = CPU) -> Images:
    return Images(ARRAY, ROWS, mean=MEAN, std=STD, device=device, transform=transform)


def test_a_batch_is_scaled_and_normalized_as_imagenet_is() -> None:
    batch = images().batch(torch.tensor([4, 2]))
    assert batch.shape == (2, 3, 8, 8)
    by_hand = (ARRAY[2, 1, 3, 5] / 255 - 0.456) / 0.224
    assert abs(batch[1, 1, 3, 5].item() - by_hand) < 1e-6


def test_a_row_that_was_not_announced_is_no_other_image(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a GPU.
    monkeypatch.setattr(Images, "_fits", lambda _self, _count: True)
    announced = torch.tensor([4, 2])
    resident = Images(ARRAY, announced, mean=MEAN, std=STD, device=CPU)
    assert torch.equal(resident.batch(announced), images().batch(announced))
    with pytest.raises(IndexError):
        resident.batch(torch.tensor([3]))


def test_without_random_parameters_the_eval_transform_applies() -> None:
    assert torch.equal(images(Shifted()).batch(ROWS), images().batch(ROWS)[..., :4, :4])


@pytest.mark.parametrize("varied", [False, True])
def test_a_batch_is_of_float_and_has_its_channels_last(varied: bool) -> None:
    reference = images(Shifted())
    batch = reference.batch(ROWS, reference.random_parameters(ROWS, seed=1, epoch=1) if varied else None)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_each_image_of_a_batch_has_its_own_random_parameters() -> None:
    reference = images(Shifted())
    random_parameters = reference.random_parameters(ROWS, seed=1, epoch=1)
    assert random_parameters is not None
    varied, plain = reference.batch(ROWS, random_parameters), images().batch(ROWS)
    for row, start in enumerate((random_parameters[:, 0] * 5).long().tolist()):
        assert torch.equal(varied[row], plain[row, :, :4, start : start + 4])


def test_random_parameters_are_the_same_at_any_batch_size_and_differ_by_epoch_and_seed() -> None:
    reference = images(Shifted())
    random_parameters = reference.random_parameters(ROWS, seed=1, epoch=1)
    assert random_parameters is not None
    whole = reference.batch(ROWS, random_parameters)
    pieces = torch.cat([reference.batch(r, d) for r, d in zip(ROWS.split(7), random_parameters.split(7), strict=True)])
    assert torch.equal(whole, pieces)
    for seed, epoch in ((1, 2), (2, 1)):
        assert not torch.equal(whole, reference.batch(ROWS, reference.random_parameters(ROWS, seed=seed, epoch=epoch)))


def test_an_images_random_parameters_do_not_depend_on_the_order() -> None:
    reference = images(Shifted())
    random_parameters, turned = (reference.random_parameters(rows, seed=1, epoch=1) for rows in (ROWS, ROWS.flip(0)))
    assert random_parameters is not None
    assert turned is not None
    assert torch.equal(random_parameters, turned.flip(0))


def test_a_repeated_image_has_new_random_parameters() -> None:
    random_parameters = images(Shifted()).random_parameters(torch.tensor([3, 3, 3, 5]), seed=1, epoch=1)
    assert random_parameters is not None
    assert random_parameters.shape == (4, 2)
    assert len({tuple(row) for row in random_parameters.tolist()}) == 4


def test_random_parameters_are_as_many_as_the_transform_takes() -> None:
    assert images().random_parameters(ROWS, seed=1, epoch=1) is None
    assert images(Shifted(random_parameters=0)).random_parameters(ROWS, seed=1, epoch=1) is None
    assert images(Shifted(random_parameters=3)).random_parameters(ROWS, seed=1, epoch=1).shape == (50, 3)


def test_images_vary_only_with_a_random_transform() -> None:
    assert [images(one).varies for one in (None, Shifted(random_parameters=0), Shifted())] == [False, False, True]


class Half:
    """A network whose first step doubles, and is frozen."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        return 2 * x

    def frozen_prefix(self) -> int:
        return 1


class Copies(TorchDispatchMode):
    """Count of the operations whose result is on another device than a tensor that they take."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        taken = [one.device for one in args if isinstance(one, Tensor)]
        self.count += isinstance(result, Tensor) and any(device != result.device for device in taken)
        return result


@contextmanager
def no_copies() -> Iterator[None]:
    with Copies() as counted:
        yield
    assert counted.count == 0


def an_epoch(shown: Images, plan: TrainingPlan, *, limit_mb: int = 8) -> tuple[Features, list[batches.Batch]]:
    examples = Examples(shown, torch.arange(50) % 3, ROWS[:40], ROWS[40:])
    rows = examples.val if batches.varies(shown, plan) else ROWS
    features = Features(Half(), shown, rows, limit_mb=limit_mb, batch_size=8)
    steps = list(ROWS[:20].flip(0).split(8))
    return features, batches.of_epoch(features, examples, plan, steps, seed=1, epoch=1)


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_an_epochs_batches_are_those_of_its_steps(mixup: float) -> None:
    shown = images(Shifted())
    _, epoch = an_epoch(shown, TrainingPlan(mixup=mixup))
    assert [len(batch.labels) for batch in epoch] == [8, 8, 4]
    drawn = shown.random_parameters(ROWS[:20].flip(0), seed=1, epoch=1)
    assert drawn is not None
    for batch, rows, parameters in zip(epoch, ROWS[:20].flip(0).split(8), drawn.split(8), strict=True):
        assert torch.equal(batch.rows, rows)
        assert torch.equal(batch.labels, rows % 3)
        assert batch.parameters is not None
        assert torch.equal(batch.parameters, parameters)
        assert (batch.mix is not None) == bool(mixup)
        assert batch.varies


@pytest.mark.parametrize("limit_mb", [0, 8])
@pytest.mark.parametrize("plan", [TrainingPlan(), TrainingPlan(cutmix=1.0)], ids=["plain", "mixed"])
@pytest.mark.parametrize("transform", [None, Shifted()], ids=["still", "varied"])
def test_a_step_copies_nothing_to_the_device(
    limit_mb: int, plan: TrainingPlan, transform: Shifted | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shifted, "train_transform", lambda _self, shown, _parameters: shown[..., :4, :4].float())
    features, epoch = an_epoch(images(transform, GPU), plan, limit_mb=limit_mb)
    assert features.cached == bool(limit_mb)
    for batch in epoch:
        assert batch.varies == (transform is not None or plan.cutmix > 0)
        with no_copies():
            assert features(batch.rows, batch.parameters, batch.mix).device == batch.labels.device == GPU


def test_images_that_are_not_on_the_device_are_copied_with_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "free_memory", lambda _: 0)
    features, epoch = an_epoch(images(None, GPU), TrainingPlan())
    with Copies() as counted:
        assert features(epoch[0].rows).device == GPU
    assert counted.count == 1


def test_an_augmentation_on_the_cpu_takes_images_from_the_file_and_waits_for_no_device() -> None:
    transform = Shifted(computes_on_cpu=True)
    features, epoch = an_epoch(images(transform, GPU), TrainingPlan())
    batch = epoch[0]
    assert batch.parameters is not None
    assert batch.rows.device == batch.parameters.device == CPU
    with Copies() as counted:
        # `Shifted` reads its parameters' values, which are nowhere but on the CPU.
        assert features(batch.rows, batch.parameters).device == GPU
    assert counted.count == 1


def test_the_free_memory_of_a_gpu_is_that_of_torchs_unused_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = images()
    assert shown.free_memory() == sys.maxsize
    shown.device = torch.device("cuda:0")
    known = {"mem_get_info": (1000, 8000), "memory_reserved": 700, "memory_allocated": 300}
    for name, value in known.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert shown.free_memory() == 1400


@pytest.mark.parametrize(("taken", "free"), [(300, 700), (1200, 0)])
def test_the_free_memory_of_an_apple_gpu_is_what_metal_recommends_less_what_is_taken(
    taken: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = images()
    shown.device = torch.device("mps")
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 1000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: taken)
    assert shown.free_memory() == free
