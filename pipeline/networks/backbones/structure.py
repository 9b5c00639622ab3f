"""A pre-trained network as an ordered list of steps, each of a stage, in torchvision's own structure and names.

Every parameter belongs to exactly one step. Strategies freeze whole stages, phases may freeze up to any step, and the
training loop may run the frozen steps separately.

Stages follow the resolution. `stem` ends at a quarter of the input's side in ResNet, at a half in EfficientNet,
MobileNetV2 and VGG-16, at an eighth in GoogLeNet, and with tokens in ViT; `block4` ends with the last feature map.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.core.vision import models

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """The smallest unit that can be frozen, run or cached.

    Attributes:
        name: name of the module in the model, or of a group of modules.
        stage: `stem`, `block1` ... `block4`, `pool`, `attention` or `head`.
        owns: names of the modules and parameters that belong to the step; by default the module of its name.
        apply: function of model and input that runs the step; by default the module of its name.
    """

    name: str
    stage: str
    owns: tuple[str, ...] = ()
    apply: Callable[[nn.Module, Tensor], Tensor] | None = None

    def run(self, model: nn.Module, x: Tensor) -> Tensor:
        """Run this step only."""
        return self.bound(model)(x)

    def bound(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return the function that runs this step of a model as it is now."""
        # A copy of a partial has a copy of the model, as a module's copy has.
        return partial(self.apply, model) if self.apply else model.get_submodule(self.name)

    def holds(self, name: str) -> bool:
        """Return whether the parameter or module of this name belongs to the step."""
        return any(name == own or name.startswith(f"{own}.") for own in self.owns or (self.name,))

    def modules(self, model: nn.Module) -> Iterator[nn.Module]:
        """Yield the modules of a model that the step owns; all modules in them belong to it too."""
        for own in self.owns or (self.name,):
            # Some own parameters beside modules, and some do not own a module of their name.
            with suppress(AttributeError):
                yield model.get_submodule(own)


def _unchanged(values: Values, _image_size: int) -> Values:
    return values


@dataclass(frozen=True)
class Backbone:
    """The definition of one backbone.

    Attributes:
        build: builds the network with random values for an image size.
        steps: steps in forward order; the last is the classifier's.
        classifier: name of the classifier; pre-trained files may hold its weights, which our heads do not use.
        hooked_layers: modules at four depths whose outputs regularizers compare and pictures use: convolutions, before
            their batch norm (SPA-GCA Table 3), in GoogLeNet and ViT whole blocks.
        classifier_only: modules that only torchvision's own classifier uses.
        hidden: prefixes of the names of the classifier's layers before its last.
        unused: prefixes of names in pre-trained files for which the network has no module.
        fit: converts pre-trained weights to an image size.
        imagenet: torchvision's ImageNet weights: URL, file name with hash; None where it has none.
        bundled_names: this network's module for each module in the file of its bundled weights; empty without them.
        own_pool: whether our heads take what the network's own pooling gives, (N, C), which may hold values.
        channels_last: whether its modules give maps (N, H, W, C); its steps give (N, C, H, W) all the same.
    """

    build: Callable[[int], nn.Module]
    steps: tuple[Step, ...]
    classifier: str
    hooked_layers: tuple[str, ...]
    classifier_only: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    fit: Callable[[Values, int], Values] = field(default=_unchanged)
    imagenet: models.WeightsEnum | None = None
    bundled_names: Mapping[str, str] = field(default_factory=dict)
    own_pool: bool = False
    channels_last: bool = False

    def check_classifier(self, model: nn.Module, name: str) -> None:
        """Refuse a classifier that the network does not have: torch would add one beside its own.

        Args:
            model: the network.
            name: its row, for the message.

        Raises:
            InputError: naming the modules that it has.
        """
        try:
            model.get_submodule(self.classifier)
        except AttributeError:
            known = ", ".join(child for child, _ in model.named_children())
            raise InputError(
                f"backbone: {name!r} names its classifier {self.classifier!r}, which the network does not have; it has "
                f"{known}"
            ) from None


def any_size(build: Callable[..., nn.Module], **options: object) -> Callable[[int], nn.Module]:
    """Return a builder that ignores the image size, for a network that takes any."""
    return lambda _image_size: build(weights=None, **options)


def steps(**stages: Sequence[str]) -> tuple[Step, ...]:
    """Return one step per module, from module names by stage.

    >>> [(step.name, step.stage) for step in steps(stem=["conv1", "bn1"], block1=["layer1"])]
    [('conv1', 'stem'), ('bn1', 'stem'), ('layer1', 'block1')]
    """
    return tuple(Step(name, stage) for stage, names in stages.items() for name in names)


def features(**numbers: Sequence[int]) -> tuple[Step, ...]:
    """Return one step per module of the sequence `features`, from module numbers by stage.

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
