"""A network, examples and settings of the training loop that are small enough to compute by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.datasets.transforms.image_transform import build_transform
from pipeline.training import contract
from pipeline.training.images import Images

CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Small(nn.Module):
    """Two convolutions, the first optionally frozen, and a linear layer behind dropout."""

    def __init__(self, *, frozen: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.parts = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
                nn.Sequential(nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 3)),
            ]
        )
        self.frozen = frozen
        self.parts[0].requires_grad_(not frozen)
        self.calls = 0

    def train(self, mode: bool = True) -> "Small":
        super().train(mode)
        if self.frozen:
            self.parts[0].eval()
        return self

    def groups(self) -> dict[str, list[nn.Parameter]]:
        head, rest = list(self.parts[2].parameters()), list(self.parts[:2].parameters())
        return {"backbone": [p for p in rest if p.requires_grad], "head": head}

    def freeze(self, frozen: bool) -> None:
        self.frozen = frozen
        self.parts[0].requires_grad_(not frozen)

    def frozen_prefix(self) -> int:
        return int(self.frozen)

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        self.calls += start == 0
        for part in self.parts[start:stop]:
            x = part(x)
        return x


def settings(**changes: Any) -> SimpleNamespace:
    values = {
        "budget": SimpleNamespace(unit="epochs", amount=3),
        "batch_size": 8,
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9, "nesterov": False},
        "lr": 0.05,
        "weight_decay": 0.0,
        "schedule": "constant",
        "schedule_options": {},
        "precision": "fp32",
        "feature_cache_mb": 64,
    }
    return SimpleNamespace(**(values | changes))


def examples(*, count: int = 21, val: int = 5, augmentation: str = "none", crop_size: int = 16) -> contract.Examples:
    numbers = np.random.default_rng(0)
    array = numbers.integers(0, 256, (count + val, 3, 16, 16), dtype=np.uint8)
    labels = torch.from_numpy(numbers.integers(0, 3, count + val))
    rows = torch.arange(count + val)
    transform = build_transform(
        image_size=16, crop_size=crop_size, crop_padding=0, input_size=16, augmentation=augmentation, options={}
    )
    images = Images(array, rows, mean=MEAN, std=STD, device=CPU, transform=transform)
    return contract.Examples(images, labels, rows[:count], rows[count:])


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])
