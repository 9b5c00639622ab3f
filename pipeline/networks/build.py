"""Put a network together: backbone, pre-trained values, head, attention."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core import choices
from pipeline.core.errors import InputError
from pipeline.networks.backbones.structure import Backbone
from pipeline.networks.backbones.table import backbone, make
from pipeline.networks.heads.modules import AverageTo
from pipeline.networks.heads.table import HEADS, Head
from pipeline.networks.insertion import insert, shapes
from pipeline.networks.network import Network

NO_ATTENTION = "none"


@dataclass(frozen=True)
class Plan:
    """What a network is made from.

    Attributes:
        backbone: a row of `BACKBONES`.
        head: a row of `HEADS`.
        classes: K, how many classes the head tells apart.
        image_size: the side of the images that it will be given.
        head_options: the head's own.
        attention: a row of `ATTENTIONS`.
        position: a row of `POSITIONS`, where attention goes; None for where its paper has it.
        attention_options: the mechanism's own.
    """

    backbone: str
    head: str
    classes: int
    image_size: int
    head_options: Mapping[str, Any] = field(default_factory=dict)
    attention: str = NO_ATTENTION
    position: str | None = None
    attention_options: Mapping[str, Any] = field(default_factory=dict)


def build(plan: Plan, *, pretrained: Mapping[str, Tensor] | None) -> Network:
    """Make the network of an experiment, everything trainable (see `freezing.freeze`).

    Args:
        plan: backbone, head and attention by name, and what they are for.
        pretrained: the trunk's values by torchvision's names, classifier left out; None leaves the backbone's own
            random initial values.

    Returns:
        The network in train mode. The order of what is drawn at random is backbone, head, attention, so that with the
        same seed the head starts the same with and without attention.

    Raises:
        InputError: for unknown names, values of another architecture, an attention that the backbone cannot take.
    """
    row = backbone(plan.backbone)
    network = _with_head(make(plan.backbone, plan.image_size), row, plan)
    if pretrained is not None:
        load_trunk(network.model, row, pretrained, image_size=plan.image_size, origin="pre-trained weights")
    if plan.attention != NO_ATTENTION:
        network = insert(network, plan.attention, plan.position, plan.attention_options, plan.image_size)
    # Channels last in memory: the same network, and convolutions that run faster on CPUs and on tensor cores.
    network.model.to(memory_format=torch.channels_last)
    return network.train()


def _with_head(model: nn.Module, row: Backbone, plan: Plan) -> Network:
    """The model with its new classifier, and the steps that this head leaves of the backbone's.

    A head of ours takes the last feature map's channels, averaged over positions or, for `conv1x1`, as they are;
    `torchvision` keeps all that torchvision has behind the feature maps.
    """
    head = choices.row(HEADS, plan.head, key="head")
    last_map = [step for step in row.steps if step.stage.startswith("block")][-1]
    shape = shapes(Network(model, row.steps), plan.image_size)[last_map.name]
    is_map = len(shape) == 3
    if head.keeps_classifier:
        return _with_own_head(model, row, head, plan.classes)
    steps = [step for step in row.steps if step.name not in row.classifier_only]
    if head.takes_maps and not is_map:
        raise InputError(f"head: {plan.head!r} needs feature maps, and {plan.backbone} gives tokens; use linear")
    if is_map and "avgpool" in dict(model.named_children()):
        model.set_submodule("avgpool", nn.AdaptiveAvgPool2d(1))
    if head.takes_maps:
        steps = [step for step in steps if step.stage != "pool"]
    features = shape[0] if is_map else shape[-1]
    model.set_submodule(row.classifier, head.make(features, classes=plan.classes, **plan.head_options))
    return Network(model, steps)


def _with_own_head(model: nn.Module, row: Backbone, head: Head, classes: int) -> Network:
    """Keep torchvision's own pooling and classifier, for as many classes as there are."""
    classifier = model.get_submodule(row.classifier)
    model.set_submodule(row.classifier, head.make(classifier, classes=classes))
    pool = dict(model.named_children()).get("avgpool")
    if isinstance(pool, nn.AdaptiveAvgPool2d) and isinstance(pool.output_size, tuple):
        side = pool.output_size[0] or 1
        model.set_submodule("avgpool", pool if side == 1 else AverageTo(side))
    return Network(model, row.steps)


def hidden(values: Mapping[str, Tensor], row: Backbone) -> dict[str, Tensor]:
    """What a classifier of several layers has in front of its last, which the head `torchvision` keeps (VGG-16)."""
    return {name: value for name, value in values.items() if name.startswith(row.hidden)}


def trunk(values: Mapping[str, Tensor], row: Backbone) -> dict[str, Tensor]:
    """Leave the classifier out, and what else this network has no part for."""
    without = (f"{row.classifier}.", *row.unused)
    return {name: value for name, value in values.items() if not name.startswith(without)}


def load_trunk(model: nn.Module, row: Backbone, values: Mapping[str, Tensor], *, image_size: int, origin: str) -> None:
    """Copy pre-trained values into everything but the classifier's last layer, casting them to the model's type.

    Hidden layers of the classifier are copied where the head has them and the file does.

    `num_batches_tracked` may be missing: files saved before it existed lack it, and it is not used.

    Raises:
        InputError: in one line that lists missing and surplus names and differing shapes.
    """
    fitting = row.fit(trunk(values, row), image_size)
    check_trunk(model, row, fitting, origin=origin)
    own = model.state_dict()
    with torch.no_grad():
        for name, value in (fitting | _fitting_hidden(own, values, row)).items():
            own[name].copy_(value)


def _fitting_hidden(own: Mapping[str, Tensor], values: Mapping[str, Tensor], row: Backbone) -> dict[str, Tensor]:
    """Hidden layers of the classifier, where both the file and the head have them."""
    given = hidden(values, row)
    return {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}


def check_trunk(model: nn.Module, row: Backbone, values: Mapping[str, Tensor], *, origin: str) -> None:
    """Refuse values that are not exactly this trunk's.

    Raises:
        InputError: in one line that lists missing and surplus names and differing shapes.
    """
    own, given = trunk(model.state_dict(), row), trunk(values, row)
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    differing = [
        f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}"
        for name in own.keys() & given.keys()
        if given[name].shape != own[name].shape
    ]
    problems = {
        "missing": sorted(own.keys() - given.keys() - optional),
        "surplus": sorted(given.keys() - own.keys()),
        "of another shape": sorted(differing),
    }
    told = [f"{len(names)} {what}: {_some(names)}" for what, names in problems.items() if names]
    if told:
        raise InputError(f"{origin}: not the values of this backbone; {'; '.join(told)}")


def _some(names: list[str], limit: int = 12) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
