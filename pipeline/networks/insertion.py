"""Insert attention modules into a network: after its stages, in its residual blocks, or after its last stage.

Insertion renames no pre-trained parameter. After a stage, a module is a step of its own; in a residual block, it
follows the block's last batch norm, before the shortcut is added.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.core import choices, compiler
from pipeline.core.errors import InputError
from pipeline.core.vision import models
from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.table import ATTENTIONS, POSITIONS, Mechanism
from pipeline.networks.backbones import efficientnet_lite
from pipeline.networks.backbones.structure import Step
from pipeline.networks.network import Network
from pipeline.networks.shapes_alone import ShapesAlone

# Each type of residual block with the name of the batch norm after its last convolution. Blocks of the last three kinds
# have one convolution less where they do not widen the map.
LAST_NORM: dict[type[nn.Module], Callable[[Any], str]] = {
    models.resnet.BasicBlock: lambda _: "bn2",
    models.resnet.Bottleneck: lambda _: "bn3",
    efficientnet_lite.InvertedResidual: lambda _: "bn3",
    models.mobilenetv2.InvertedResidual: lambda block: f"conv.{len(block.conv) - 1}",
    models.efficientnet.MBConv: lambda block: f"block.{len(block.block) - 1}.1",
    models.efficientnet.FusedMBConv: lambda block: f"block.{len(block.block) - 1}.1",
}

# A feature map with a smaller side has one position only, and nothing to weight positions by.
SMALLEST_SIDE = 2
# Side of the map on which a mechanism is tried.
CHECKED_SIDE = 8
# The position at which a module is not a step of its own.
IN_BLOCKS = "residual_block"


class NormThenAttention(nn.BatchNorm2d):
    """Batch norm followed by attention, under the batch norm's own parameter names.

    Shape:
        Input and output (N, C, H, W).
    """

    def __init__(self, norm: nn.BatchNorm2d, attention: Attention) -> None:
        # A subclass, since a container of both would rename the batch norm's parameters.
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        self.load_state_dict(norm.state_dict())
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Normalize, then apply attention."""
        attended: Tensor = self.attention(super().forward(x))
        return attended


class Site(NamedTuple):
    """One place in a network where a module is inserted.

    Attributes:
        name: the step, or the batch norm, that the module follows.
        shape: shape of the module's input for one image: (C, H, W), or (T, D) for tokens.
    """

    name: str
    shape: tuple[int, ...]


def insert(network: Network, name: str, position: str | None, options: Mapping[str, Any], image_size: int) -> Network:
    """Insert the modules of one attention mechanism.

    Args:
        network: its model is changed in place.
        name: a row of `ATTENTIONS`.
        position: a row of `POSITIONS`; None for the mechanism's own.
        options: the mechanism's options.
        image_size: side of the network's input in pixels, on which the size of feature maps depends.

    Returns:
        The network with the modules among its steps and in `inserted`.

    Raises:
        InputError: for a position that this network lacks, or whose feature maps are too small for the mechanism, and
            for a mechanism that does not keep the shape of its input.
    """
    row = choices.row(ATTENTIONS, name, key="attention")
    position = position or row.position
    sites_of = choices.row(POSITIONS, position, key="position").sites
    sizes = shapes(network, image_size)
    if all(len(site.shape) != 3 for site in after_every_stage(network, sizes)):
        raise InputError(
            f"attention: {name!r} needs feature maps, but this backbone returns tokens; use attention=none"
        )
    sites = sites_of(network, sizes)
    if not sites:
        raise InputError(
            f"attention: this backbone has no residual blocks for {name!r}; set its position, "
            f"options.attention.{name}.position, to every_stage or last_stage"
        )
    for site in sites:
        _check(site, name, row, image_size)
    modules = [row.make(site.shape[0], **options) for site in sites]
    _check_shape(sites[0].shape, modules[0], name)
    return (_into_blocks if position == IN_BLOCKS else _as_steps)(network, sites, modules)


def _check(site: Site, name: str, row: Mechanism, image_size: int) -> None:
    side = min(site.shape[1:])
    if row.weighs_positions and side < SMALLEST_SIDE:
        raise InputError(
            f"attention: {name!r} weighs positions, and the map at {site.name} is {site.shape[1]} x {site.shape[2]} "
            f"for images of {image_size}; it needs {SMALLEST_SIDE} x {SMALLEST_SIDE}, so raise data.input_size"
        )


@torch.no_grad()
def _check_shape(shape: Sequence[int], module: Attention, name: str) -> None:
    """Refuse a mechanism whose output has another shape than its input; two images tell maps (N, C) from (C, N)."""
    # Few positions: self-attention on a large map needs much memory.
    channels, *sides = shape
    x = torch.zeros(2, channels, *(min(side, CHECKED_SIDE) for side in sides), device=_device(module))
    mode, expected = module.training, tuple(x.shape)
    try:
        returned = tuple(module.eval()(x).shape)
    except (LookupError, RuntimeError, TypeError) as error:
        error.add_note(f"attention {name!r} fails for features of shape {expected}")
        raise
    finally:
        module.train(mode)
    if returned != expected:
        raise InputError(
            f"attention: {name!r} returns features of shape {returned} for {expected}, and has to keep the shape; see "
            "`weigh` in attention/contract.py for the shapes of maps"
        )


def _device(module: nn.Module) -> torch.device:
    return next((values.device for values in module.parameters()), torch.get_default_device())


@compiler.deferred()
@torch.no_grad()
def shapes(network: Network, image_size: int) -> dict[str, tuple[int, ...]]:
    """Return the output shape, without batch axis, of every step and of every residual block's last batch norm.

    Runs the network on one black image; mode and values are restored.
    """
    sizes: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: sizes.__setitem__(name, tuple(output.shape[1:]))

    # On the network's own device: one real forward pass takes less time than torch's imports for the meta device.
    mode, model = network.training, network.model
    x = torch.zeros(1, 3, image_size, image_size, device=next(network.parameters()).device)
    hooks = [model.get_submodule(name).register_forward_hook(record(name)) for name in last_norms(model)]
    try:
        network.eval()
        with ShapesAlone():
            for step in network.steps:
                x = step.run(model, x)
                sizes[step.name] = tuple(x.shape[1:])
    finally:
        network.train(mode)
        for hook in hooks:
            hook.remove()
    return sizes


def last_norms(model: nn.Module) -> list[str]:
    """Return the names of the batch norms after the last convolution of every block with a shortcut, in order."""
    # Some of MobileNetV2's and EfficientNet's blocks have no shortcut: those whose input and output differ in shape.
    return [
        f"{name}.{norm(module)}"
        for name, module in model.named_modules()
        for kind, norm in LAST_NORM.items()
        if isinstance(module, kind) and getattr(module, "use_res_connect", True)
    ]


def on_meta(network: Network) -> Network:
    """Return a copy on the meta device: structure without values."""
    # `deepcopy` takes from the memo what it holds, so that no value is copied first.
    memo: dict[int, object] = {id(p): nn.Parameter(p.to("meta")) for p in network.parameters()}
    memo |= {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    return deepcopy(network, memo)


def after_every_stage(network: Network, sizes: Mapping[str, tuple[int, ...]]) -> list[Site]:
    """Return the last step of each of the four blocks."""
    ends = [steps[-1] for stage, steps in network.stages() if stage.startswith("block")]
    return [Site(step.name, sizes[step.name]) for step in ends]


def in_residual_blocks(network: Network, sizes: Mapping[str, tuple[int, ...]]) -> list[Site]:
    """Return the last batch norm of every residual block; none where the network has none."""
    return [Site(name, sizes[name]) for name in last_norms(network.model)]


def after_last_stage(network: Network, sizes: Mapping[str, tuple[int, ...]]) -> list[Site]:
    """Return the last step of the last block."""
    return after_every_stage(network, sizes)[-1:]


def _into_blocks(network: Network, sites: Sequence[Site], modules: Sequence[Attention]) -> Network:
    for site, module in zip(sites, modules, strict=True):
        norm = network.model.get_submodule(site.name)
        if not isinstance(norm, nn.BatchNorm2d):
            raise TypeError(f"{site.name} is no batch norm")
        network.model.set_submodule(site.name, NormThenAttention(norm, module))
    return Network(network.model, network.steps, [f"{site.name}.attention" for site in sites])


def _as_steps(network: Network, sites: Sequence[Site], modules: Sequence[Attention]) -> Network:
    stages = {step.name: step.stage for step in network.steps}
    names = {site.name: f"attention.{stages[site.name]}" for site in sites}
    children = {stages[site.name]: module for site, module in zip(sites, modules, strict=True)}
    network.model.add_module("attention", nn.ModuleDict(children))
    steps = []
    for step in network.steps:
        steps.append(step)
        if step.name in names:
            steps.append(Step(names[step.name], "attention"))
    return Network(network.model, steps, list(names.values()))
