"""Put a network together: backbone, pre-trained values, head, strategy."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.networks import freezing, heads
from pipeline.networks.backbones import Backbone, backbone
from pipeline.networks.network import Network


class Settings(Protocol):
    """What of an experiment a network is made from."""

    @property
    def backbone(self) -> str: ...
    @property
    def freeze(self) -> str: ...
    @property
    def head(self) -> str: ...


def build(
    settings: Settings,
    *,
    classes: int,
    head_options: Mapping[str, float],
    pretrained: Mapping[str, Tensor] | None,
) -> Network:
    """Make the network of an experiment.

    Args:
        settings: backbone, strategy and head by name.
        classes: K, how many classes the head tells apart.
        head_options: the chosen head's own options.
        pretrained: the trunk's values by torchvision's names, classifier left out; None, or the strategy
            `scratch`, leaves the backbone's own random initial values.

    Returns:
        The network, frozen as the strategy says, in train mode where it trains.

    Raises:
        InputError: for unknown names and for values of another architecture.
    """
    row = backbone(settings.backbone)
    model = row.build(weights=None)
    stock = model.get_submodule(row.classifier)
    model.set_submodule(row.classifier, heads.head(settings.head, stock, classes=classes, **head_options))
    if pretrained is not None and settings.freeze != "scratch":
        load_trunk(model, row, pretrained, origin="pre-trained weights")
    # Channels last in memory: the same network, and convolutions that run faster on CPUs and on tensor cores.
    network = Network(model.to(memory_format=torch.channels_last), row.stages)
    freezing.freeze(network, settings.freeze)
    return network


def trunk(values: Mapping[str, Tensor], row: Backbone) -> dict[str, Tensor]:
    """Leave the classifier out."""
    return {name: value for name, value in values.items() if not name.startswith(f"{row.classifier}.")}


def load_trunk(model: nn.Module, row: Backbone, values: Mapping[str, Tensor], *, origin: str) -> None:
    """Copy pre-trained values into everything but the classifier, casting them to the model's type.

    `num_batches_tracked` may be missing: files saved before it existed lack it, and it is not used.

    Raises:
        InputError: in one line that lists missing and surplus names and differing shapes.
    """
    check_trunk(model, row, values, origin=origin)
    own = model.state_dict()
    with torch.no_grad():
        for name, value in trunk(values, row).items():
            own[name].copy_(value)


def check_trunk(model: nn.Module, row: Backbone, values: Mapping[str, Tensor], *, origin: str) -> None:
    """Refuse values that are not exactly this trunk's.

    Raises:
        InputError: in one line that lists missing and surplus names and differing shapes.
    """
    own, given = trunk(model.state_dict(), row), trunk(values, row)
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}"
        for name in own.keys() & given.keys()
        if given[name].shape != own[name].shape
    ]
    problems = {
        "missing": sorted(own.keys() - given.keys() - optional),
        "surplus": sorted(given.keys() - own.keys()),
        "of another shape": sorted(shapes),
    }
    told = [f"{len(names)} {what}: {_some(names)}" for what, names in problems.items() if names]
    if told:
        raise InputError(f"{origin}: not the values of this backbone; {'; '.join(told)}")


def _some(names: list[str], limit: int = 12) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
