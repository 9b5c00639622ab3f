"""Explanations of a prediction: class activation maps, feature maps by depth, and attention weights.

For the report alone; no training reads them.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchcam.methods import GradCAM, LayerCAM

from pipeline.networks.backbones.structure import Step
from pipeline.networks.heads.modules import ClassMaps
from pipeline.networks.insertion import shapes
from pipeline.networks.network import Network
from pipeline.networks.resizing import average

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

# Batch size of explanations: gradients hold every map in memory.
AT_ONCE = 4
# Largest side of feature maps in the report, and number of channels per stage behind their mean.
LARGEST_SIDE = 56
CHANNELS = 3


class Layers(NamedTuple):
    """Layers of class activation maps: the last feature maps, and finer ones."""

    last: str
    finer: str


def layers(network: Network, side: int) -> Layers:
    """Return the steps whose outputs are the maps.

    `last` is the input of the head: the end of the last stage, with the attention behind it. `finer` is the end of the
    stage before, of twice the resolution in most networks. In a network of tokens the head reads the class token
    alone, so that no patch has a gradient behind the last layer: both are the stage before.

    Args:
        network: a network of any backbone.
        side: side of its input.
    """
    *_, before, last = [steps[-1].name for stage, steps in _parts(network) if stage.startswith("block")]
    return Layers(before if _gives_tokens(network, side) else last, before)


def class_activation(network: Network, images: Tensor, classes: Sequence[int]) -> dict[str, FloatArray]:
    """Return Grad-CAM and LayerCAM of one class per image (torchcam).

    Args:
        network: the network; in eval mode meanwhile.
        images: (N, 3, S, S), normalized.
        classes: the class index of each image's maps.

    Returns:
        `grad_cam` (N, h, w) of the last feature maps, `layer_cam` (N, H, W) of finer ones; >= 0, unscaled.

    Source:
        Selvaraju et al. 2017, Grad-CAM; Jiang et al. 2021, LayerCAM.
    """
    side = images.shape[-1]
    targets = layers(network, side)
    methods: dict[str, tuple[type[GradCAM | LayerCAM], str]] = {
        "grad_cam": (GradCAM, targets.last),
        "layer_cam": (LayerCAM, targets.finer),
    }
    expected = shapes(network, side)
    activations = {}
    with _eval_mode(network):
        for name, (method, layer) in methods.items():
            reshape = partial(_as_maps, shape=expected[layer], prefix=prefix_tokens(network))
            pieces = [
                _activation(
                    method(network, f"model.{layer}", reshape_transform=reshape), network, batch, list(targeted)
                )
                for batch, targeted in zip(images.split(AT_ONCE), torch.tensor(classes).split(AT_ONCE), strict=True)
            ]
            activations[name] = np.concatenate(pieces)
    return activations


def _activation(method: GradCAM | LayerCAM, network: Network, images: Tensor, classes: Sequence[Tensor]) -> FloatArray:
    # The context removes torchcam's hooks from the network.
    with method:
        scores = network(images)
        (maps,) = method([int(one) for one in classes], scores, normalized=False)
    return np.asarray(maps.detach().float().cpu())


@torch.no_grad()
def class_maps(network: Network, images: Tensor, classes: Sequence[int]) -> FloatArray | None:
    """Return the head's map (N, h, w) of one class per image; None for heads other than `conv1x1`."""
    head = network.model.get_submodule(network.steps[-1].name)
    if not isinstance(head, ClassMaps):
        return None
    with _eval_mode(network):
        maps = head.maps(network.run(images, stop=-1))
    return np.asarray(maps[torch.arange(len(images)), torch.tensor(classes)].float().cpu())


@torch.no_grad()
def attention(network: Network, images: Tensor) -> dict[str, FloatArray]:
    """Return the weights of the last attention module by name, see its contract; empty without attention."""
    if not network.inserted:
        return {}
    maps = network.attention_maps(images)[network.inserted[-1]]
    return {name: np.asarray(weights.float().cpu()) for name, weights in maps.items()}


@torch.no_grad()
def features(network: Network, images: Tensor) -> dict[str, ByteArray]:
    """Return feature maps by depth: (N, 1 + k, h, w) for the stem and each block, the mean over channels first.

    The other k channels are the first ones; h and w are at most 56. Tokens are arranged as their patches.

    Source:
        ECSM Figure 10.
    """
    by_stage: dict[str, ByteArray] = {}
    x = images
    with _eval_mode(network):
        for stage, steps in _parts(network):
            for step in steps:
                x = step.run(network.model, x)
            maps = as_grid(x, prefix_tokens(network)) if x.ndim == 3 else x  # (N, C, H, W)
            maps = torch.cat([maps.mean(1, keepdim=True), maps[:, :CHANNELS]], dim=1)
            side = min(LARGEST_SIDE, *maps.shape[2:])
            by_stage[stage] = scaled(np.asarray(average(maps, side).float().cpu()))
    return by_stage


def _parts(network: Network) -> list[tuple[str, list[Step]]]:
    """Return the steps by stage up to the last feature map; attention behind a stage belongs to it."""
    parts: dict[str, list[Step]] = {}
    stage = ""
    for step in network.steps:
        if step.stage in ("pool", "head"):
            break
        stage = stage if step.stage == "attention" else step.stage
        parts.setdefault(stage, []).append(step)
    return list(parts.items())


def prefix_tokens(network: Network) -> int:
    """Return how many tokens, of a class and registers, stand before those of patches."""
    own = getattr(network.model, "num_prefix_tokens", None)
    return int(hasattr(network.model, "class_token")) if own is None else int(own)


def as_grid(tokens: Tensor, prefix: int) -> Tensor:
    """Return tokens (N, p + h h, C) without the first p as maps (N, C, h, h)."""
    side = math.isqrt(tokens.shape[1] - prefix)
    return tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, side, side)


def _as_maps(given: Tensor, shape: tuple[int, ...], prefix: int) -> Tensor:
    """Return what a module gave as maps (N, C, H, W), from its step's output for one image."""
    if len(shape) == 2:
        return as_grid(given, prefix)
    # Some of timm's modules give (N, H, W, C); their steps do not.
    return given if tuple(given.shape[1:]) == shape else given.permute(0, 3, 1, 2)


def scaled(maps: FloatArray) -> ByteArray:
    """Scale each map (..., H, W) from its minimum to its maximum to 0..255; a constant map is 0.

    >>> scaled(np.array([[[1.0, 2.0], [3.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]], dtype=np.float32)).tolist()
    [[[0, 128], [255, 255]], [[0, 0], [0, 0]]]
    """
    low, high = maps.min(axis=(-2, -1), keepdims=True), maps.max(axis=(-2, -1), keepdims=True)
    fractions = (maps - low) / np.where(high > low, high - low, 1)
    return np.asarray(np.rint(255 * fractions), dtype=np.uint8)


def _gives_tokens(network: Network, side: int) -> bool:
    last = [step.name for step in network.steps if step.stage.startswith("block")][-1]
    return len(shapes(network, side)[last]) == 2


@contextmanager
def _eval_mode(network: Network) -> Iterator[None]:
    """Set eval mode; restore the previous mode afterwards."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)
