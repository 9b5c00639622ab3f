"""A pre-trained network as an ordered list of steps, each of a stage, in torchvision's own structure and names.

Every parameter belongs to exactly one step; strategies freeze by stage, phases may freeze up to any step, and the loop
may run the frozen steps apart from those that train.

The stages follow the resolution as ResNet's do: all down to a quarter of the input's side is `stem`, and the last
feature map is at the end of `block4`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.vision import models

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """The smallest unit that is frozen, run or cached.

    Attributes:
        name: the module's name in the model, or a name for more than one module.
        stage: `stem`, `block1` ... `block4`, `pool`, `attention` or `head`.
        owns: the modules and parameters whose values are this step's; by default the module of its name.
        apply: runs the step on the output of the one before it; by default the module of its name.
    """

    name: str
    stage: str
    owns: tuple[str, ...] = ()
    apply: Callable[[nn.Module, Tensor], Tensor] | None = None

    def run(self, model: nn.Module, x: Tensor) -> Tensor:
        """Run this step alone."""
        return self.apply(model, x) if self.apply else model.get_submodule(self.name)(x)

    def holds(self, name: str) -> bool:
        """Return whether the parameter or module of this name is this step's."""
        return any(name == own or name.startswith(f"{own}.") for own in self.owns or (self.name,))


def _unchanged(values: Values, _image_size: int) -> Values:
    return values


@dataclass(frozen=True)
class Backbone:
    """The definition of one backbone.

    Attributes:
        build: makes the network with random values for images of one side.
        imagenet: torchvision's ImageNet weights for it: URL, file name with hash.
        steps: in the order in which they run; the last is the classifier's.
        classifier: the name of the classifier, which every pre-trained file may carry and we replace.
        hooked_layers: at four depths, a convolution whose output is taken before its batch norm (SPA-GCA Table 3; GoogLeNet's
            and ViT's: a whole block's output), for regularizers and pictures.
        classifier_only: modules that run in front of torchvision's own classifier alone.
        hidden: beginnings of the names of the classifier's layers in front of its last.
        unused: beginnings of names in pre-trained files that this network has no module for.
        fit: changes pre-trained values to suit images of one side.
    """

    build: Callable[[int], nn.Module]
    imagenet: models.WeightsEnum
    steps: tuple[Step, ...]
    classifier: str
    hooked_layers: tuple[str, ...]
    classifier_only: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    fit: Callable[[Values, int], Values] = field(default=_unchanged)


def any_size(build: Callable[..., nn.Module], **options: object) -> Callable[[int], nn.Module]:
    """Return a builder for a network that takes images of any size."""
    return lambda _image_size: build(weights=None, **options)


def steps(**stages: Sequence[str]) -> tuple[Step, ...]:
    """Return a step for each module, listed by stage.

    >>> [(step.name, step.stage) for step in steps(stem=["conv1", "bn1"], block1=["layer1"])]
    [('conv1', 'stem'), ('bn1', 'stem'), ('layer1', 'block1')]
    """
    return tuple(Step(name, stage) for stage, names in stages.items() for name in names)


def features(**numbers: Sequence[int]) -> tuple[Step, ...]:
    """Return a step for each module of a sequence called `features`, listed by stage.

    >>> [step.name for step in features(stem=(0, 1))]
    ['features.0', 'features.1']
    """
    return steps(**{stage: [f"features.{number}" for number in span] for stage, span in numbers.items()})


def average_pool(model: nn.Module, x: Tensor) -> Tensor:
    """Run the model's `avgpool` and flatten: (N, C, H, W) -> (N, C times the pool's positions)."""
    return torch.flatten(model.get_submodule("avgpool")(x), 1)


def global_average(_model: nn.Module, x: Tensor) -> Tensor:
    """Average over positions: (N, C, H, W) -> (N, C)."""
    return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
