"""Build a network: backbone, pre-trained weights, head, attention."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core import choices
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.shortening import some
from pipeline.networks import low_rank
from pipeline.networks.backbones.structure import Backbone
from pipeline.networks.backbones.table import backbone, make
from pipeline.networks.heads.modules import AverageTo
from pipeline.networks.heads.table import HEADS, Head
from pipeline.networks.insertion import insert, shapes
from pipeline.networks.network import Network

# Of layers that do not fit, in a message.
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Plan:
    """Configuration of a network.

    Attributes:
        backbone: a row of `BACKBONES`.
        head: a row of `HEADS`.
        classes: K, the number of classes.
        image_size: side of the input images in pixels.
        head_options: the head's options.
        attention: a row of `ATTENTIONS`.
        position: a row of `POSITIONS`, where attention is inserted; None for the mechanism's own.
        attention_options: the mechanism's options.
        low_rank: the options of LoRA's updates; None for none.
    """

    backbone: str
    head: str
    classes: int
    image_size: int
    head_options: Mapping[str, Any] = field(default_factory=dict)
    attention: str = NONE
    position: str | None = None
    attention_options: Mapping[str, Any] = field(default_factory=dict)
    low_rank: Mapping[str, Any] | None = None


def plan_of(
    *,
    backbone: str,
    attention: str,
    head: str,
    options: Mapping[str, Mapping[str, Mapping[str, Any]]],
    classes: int,
    image_size: int,
) -> Plan:
    """Return the plan of a network from the names of its parts.

    Args:
        backbone: a row of `BACKBONES`.
        attention: a row of `ATTENTIONS`.
        head: a row of `HEADS`.
        options: options of attention and head, by family and name.
        classes: K, the number of scores.
        image_size: the side of the network's input, in pixels.
    """
    # `position` is an option of the insertion; the others are the module's arguments.
    attention_options = dict(options["attention"].get(attention, {}))
    return Plan(
        backbone=backbone,
        head=head,
        classes=classes,
        image_size=image_size,
        head_options=dict(options["head"].get(head, {})),
        attention=attention,
        position=attention_options.pop("position", None),
        attention_options=attention_options,
    )


def build(plan: Plan, *, pretrained: Mapping[str, Tensor] | None) -> Network:
    """Build the network of an experiment, with all parameters trainable (see `freezing.freeze`).

    Args:
        plan: its configuration.
        pretrained: backbone weights under torchvision's names, without the classifier; None leaves the backbone's
            random initial values.

    Returns:
        The network in train mode. Random values are drawn for backbone, head, attention, low-rank updates in this
        order, so that with the same seed the head's initial values are the same with and without attention.

    Raises:
        InputError: for unknown names, weights of another architecture, attention that the backbone cannot take.
    """
    row = backbone(plan.backbone)
    network = _with_head(make(plan.backbone, plan.image_size), row, plan)
    if pretrained is not None:
        load_backbone(network.model, row, pretrained, image_size=plan.image_size, origin="pre-trained weights")
    if plan.attention != NONE:
        network = insert(network, plan.attention, plan.position, plan.attention_options, plan.image_size)
    if plan.low_rank is not None:
        low_rank.insert(network, **plan.low_rank)
    # Memory format alone: convolutions run faster in channels last, on CPUs and on tensor cores.
    network.model.to(memory_format=torch.channels_last)
    return network.train()


def _with_head(model: nn.Module, row: Backbone, plan: Plan) -> Network:
    """Replace the model's classifier, and drop the steps of the backbone that the head does not use.

    Our heads take the channels of the last feature map, averaged over positions or, for `conv1x1`, the map itself;
    `torchvision` keeps all of torchvision's layers after the feature maps.
    """
    row.check_classifier(model, plan.backbone)
    head = choices.row(HEADS, plan.head, key="head")
    last_map = [step for step in row.steps if step.stage.startswith("block")][-1]
    sizes = shapes(Network(model, row.steps), plan.image_size)
    shape = sizes[last_map.name]
    is_map = len(shape) == 3
    if row.own_pool:
        return _with_own_pool(model, row, head, plan, features=sizes[row.steps[-2].name][-1], is_map=is_map)
    if head.keeps_classifier:
        return _with_own_head(model, row, head, plan.classes)
    steps = [step for step in row.steps if step.name not in row.classifier_only]
    if head.takes_maps and not is_map:
        raise InputError(f"head: {plan.head!r} needs feature maps, but {plan.backbone} returns tokens; use linear")
    # Some of torchvision's poolings keep several positions (VGG's 7 x 7); our heads take one average per channel.
    if is_map and "avgpool" in dict(model.named_children()):
        model.set_submodule("avgpool", nn.AdaptiveAvgPool2d(1))
    if head.takes_maps:
        steps = [step for step in steps if step.stage != "pool"]
    features = shape[0] if is_map else shape[-1]
    model.set_submodule(row.classifier, head.make(features, classes=plan.classes, **plan.head_options))
    return Network(model, steps)


def _with_own_pool(model: nn.Module, row: Backbone, head: Head, plan: Plan, *, features: int, is_map: bool) -> Network:
    """Replace the classifier of a network whose own pooling stays, which is the last step but one.

    Raises:
        InputError: for a head that needs what this network does not have.
    """
    steps, pool = list(row.steps), row.steps[-2]
    classifier = model.get_submodule(row.classifier)
    if head.keeps_classifier:
        if not isinstance(classifier, nn.Linear):
            raise InputError(f"head: {plan.head!r} keeps the classifier, and {plan.backbone} has no such; use linear")
        model.set_submodule(row.classifier, head.make(classifier, classes=plan.classes))
        return Network(model, steps)
    if head.takes_maps:
        if not is_map:
            raise InputError(f"head: {plan.head!r} needs feature maps, but {plan.backbone} returns tokens; use linear")
        if held := [name for name, _ in Network(model, steps).parameters_of(pool)]:
            raise InputError(
                f"head: {plan.head!r} takes the place of the pooling, and {plan.backbone}'s has values, such as "
                f"{held[0]}; use linear"
            )
        steps.remove(pool)
        features = shapes(Network(model, steps[:-1]), plan.image_size)[steps[-2].name][0]
    model.set_submodule(row.classifier, head.make(features, classes=plan.classes, **plan.head_options))
    return Network(model, steps)


def _with_own_head(model: nn.Module, row: Backbone, head: Head, classes: int) -> Network:
    """Keep torchvision's own pooling and classifier, with a last layer for this number of classes."""
    classifier = model.get_submodule(row.classifier)
    model.set_submodule(row.classifier, head.make(classifier, classes=classes))
    pool = dict(model.named_children()).get("avgpool")
    if isinstance(pool, nn.AdaptiveAvgPool2d) and isinstance(pool.output_size, tuple):
        # The gradient of torch's adaptive pooling to several positions sums in a random order on GPUs.
        side = pool.output_size[0] or 1
        model.set_submodule("avgpool", pool if side == 1 else AverageTo(side))
    return Network(model, row.steps)


def hidden_layers(values: Mapping[str, Tensor], row: Backbone) -> dict[str, Tensor]:
    """Return the weights of the classifier's layers before its last, which the head `torchvision` keeps (VGG-16)."""
    return {name: value for name, value in values.items() if name.startswith(row.hidden)}


def backbone_weights(values: Mapping[str, Tensor], row: Backbone) -> dict[str, Tensor]:
    """Return the weights without those of the classifier and of modules that this network lacks."""
    excluded = (f"{row.classifier}.", *row.unused)
    return {name: value for name, value in values.items() if not name.startswith(excluded)}


def load_backbone(
    model: nn.Module, row: Backbone, values: Mapping[str, Tensor], *, image_size: int, origin: str
) -> None:
    """Copy pre-trained weights into the model, cast to its type, except the classifier's last layer.

    Hidden layers of the classifier are copied where both the head and the weights have them.

    Raises:
        InputError: see `check_backbone`.
    """
    resized = row.fit(backbone_weights(values, row), image_size)
    check_backbone(model, row, resized, origin=origin)
    own = model.state_dict()
    hidden = {
        name: value
        for name, value in hidden_layers(values, row).items()
        if name in own and own[name].shape == value.shape
    }
    with torch.no_grad():
        for name, value in (resized | hidden).items():
            own[name].copy_(value)


def check_backbone(model: nn.Module, row: Backbone, values: Mapping[str, Tensor], *, origin: str) -> None:
    """Raise unless the weights have exactly the names and shapes of this model's backbone, and numbers of its kind.

    Raises:
        InputError: in one line that lists missing and surplus names, differing shapes, and whole numbers.
    """
    own, other = backbone_weights(model.state_dict(), row), backbone_weights(values, row)
    # Files saved before torch counted batches lack these counts, and no layer here uses them.
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    differing = [
        f"{name} {tuple(other[name].shape)} for {tuple(own[name].shape)}"
        for name in own.keys() & other.keys()
        if other[name].shape != own[name].shape
    ]
    whole = [
        f"{name} {str(other[name].dtype).removeprefix('torch.')}"
        for name in own.keys() & other.keys()
        if own[name].is_floating_point() and not other[name].is_floating_point()
    ]
    problems = {
        "missing": sorted(own.keys() - other.keys() - optional),
        "surplus": sorted(other.keys() - own.keys()),
        "of another shape": sorted(differing),
        "of whole numbers": sorted(whole),
    }
    messages = [f"{len(names)} {problem}: {some(names, NAMES_SHOWN)}" for problem, names in problems.items() if names]
    if messages:
        raise InputError(
            f"{origin}: not the values of this backbone; {'; '.join(messages)}; name their own backbone or others"
        )
