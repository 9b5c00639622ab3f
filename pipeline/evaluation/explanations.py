"""Explanations of a prediction: class activation maps, feature maps by depth, and the attention's own maps.

For pictures alone: no training reads any of it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torchcam.methods import GradCAM, LayerCAM

from pipeline.networks.backbones.structure import Step
from pipeline.networks.heads.modules import ClassMaps
from pipeline.networks.insertion import shapes
from pipeline.networks.network import Network

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

# How many images are explained at once: gradients hold every map in memory.
AT_ONCE = 4
# Feature maps are shown at this side at most, and with so many channels of each stage after their mean.
SHOWN_SIDE = 56
SHOWN_CHANNELS = 3


class Layers(NamedTuple):
    """Where class activation maps are taken: the last feature maps, and finer ones."""

    last: str
    finer: str


def layers(network: Network, side: int) -> Layers:
    """Return the steps behind which the maps are taken.

    `last` is what the head is given: the end of the last stage, with the attention behind it. `finer` is the end of
    the stage before, of twice the resolution in most networks. Where the network has tokens, the head reads the class
    token alone, so behind the last layer no patch counts, and both are the stage before.

    Args:
        network: any of the table's.
        side: of its input.
    """
    *_, before, last = [steps[-1].name for stage, steps in _parts(network) if stage.startswith("block")]
    return Layers(before if _gives_tokens(network, side) else last, before)


def class_activation(network: Network, images: Tensor, classes: Sequence[int]) -> dict[str, FloatArray]:
    """Return where the score of a class comes from in each image, by Grad-CAM and LayerCAM (torchcam).

    Args:
        network: put into eval mode.
        images: (N, 3, S, S), normalized.
        classes: for each image the class that is asked about.

    Returns:
        `grad_cam` (N, h, w) of the last feature maps, `layer_cam` (N, H, W) of finer ones; >= 0, not scaled.

    Source:
        Selvaraju et al. 2017, Grad-CAM; Jiang et al. 2021, LayerCAM.
    """
    side = images.shape[-1]
    places = layers(network, side)
    methods: dict[str, tuple[type[GradCAM | LayerCAM], str]] = {
        "grad_cam": (GradCAM, places.last),
        "layer_cam": (LayerCAM, places.finer),
    }
    reshape = as_grid if _gives_tokens(network, side) else None
    maps = {}
    with _explained(network):
        for name, (method, layer) in methods.items():
            pieces = [
                _activation(method(network, f"model.{layer}", reshape_transform=reshape), network, few, list(asked))
                for few, asked in zip(images.split(AT_ONCE), torch.tensor(classes).split(AT_ONCE), strict=True)
            ]
            maps[name] = np.concatenate(pieces)
    return maps


def _activation(method: GradCAM | LayerCAM, network: Network, images: Tensor, classes: Sequence[Tensor]) -> FloatArray:
    with method:
        scores = network(images)
        (maps,) = method([int(one) for one in classes], scores, normalized=False)
    return np.asarray(maps.detach().float().cpu())


@torch.no_grad()
def class_maps(network: Network, images: Tensor, classes: Sequence[int]) -> FloatArray | None:
    """Return the head's own map (N, h, w) of one class of each image; None if the head is not `conv1x1`."""
    head = network.model.get_submodule(network.steps[-1].name)
    if not isinstance(head, ClassMaps):
        return None
    with _explained(network):
        maps = head.maps(network.run(images, stop=-1))
    return np.asarray(maps[torch.arange(len(images)), torch.tensor(classes)].float().cpu())


@torch.no_grad()
def attention(network: Network, images: Tensor) -> dict[str, FloatArray]:
    """Return the weights of the last attention module, by their name in the contract; empty if there is none."""
    if not network.inserted:
        return {}
    maps = network.attention_maps(images)[network.inserted[-1]]
    return {name: np.asarray(weights.float().cpu()) for name, weights in maps.items()}


@torch.no_grad()
def features(network: Network, images: Tensor) -> dict[str, ByteArray]:
    """Return feature maps by depth (ECSM Figure 10): for the stem and each block (N, 1 + k, h, w), the mean first.

    The channels are the first k, as they come; h and w are at most 56. Tokens are laid out as the patches lie.
    """
    stages: dict[str, ByteArray] = {}
    x = images
    with _explained(network):
        for stage, steps in _parts(network):
            for step in steps:
                x = step.run(network.model, x)
            maps = as_grid(x) if x.ndim == 3 else x
            shown = torch.cat([maps.mean(1, keepdim=True), maps[:, :SHOWN_CHANNELS]], dim=1)
            side = min(SHOWN_SIDE, *shown.shape[2:])
            stages[stage] = scaled(np.asarray(F.adaptive_avg_pool2d(shown, side).float().cpu()))
    return stages


def _parts(network: Network) -> list[tuple[str, list[Step]]]:
    """Return the steps by stage down to the last feature map; attention behind a stage belongs to it."""
    parts: dict[str, list[Step]] = {}
    stage = ""
    for step in network.steps:
        if step.stage in ("pool", "head"):
            break
        stage = stage if step.stage == "attention" else step.stage
        parts.setdefault(stage, []).append(step)
    return list(parts.items())


def as_grid(tokens: Tensor) -> Tensor:
    """Return tokens after a class token (N, 1 + h h, C) as maps (N, C, h, h)."""
    side = math.isqrt(tokens.shape[1] - 1)
    return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, side, side)


def scaled(maps: FloatArray) -> ByteArray:
    """Return maps (..., H, W) as 0..255, each from its own smallest to its largest value; a constant map is 0.

    >>> scaled(np.array([[[1.0, 2.0], [3.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]], dtype=np.float32)).tolist()
    [[[0, 128], [255, 255]], [[0, 0], [0, 0]]]
    """
    low, high = maps.min(axis=(-2, -1), keepdims=True), maps.max(axis=(-2, -1), keepdims=True)
    parts = (maps - low) / np.where(high > low, high - low, 1)
    return np.asarray(np.rint(255 * parts), dtype=np.uint8)


def _gives_tokens(network: Network, side: int) -> bool:
    last = [step.name for step in network.steps if step.stage.startswith("block")][-1]
    return len(shapes(network, side)[last]) == 2


@contextmanager
def _explained(network: Network) -> Iterator[None]:
    """Set eval mode, then restore the mode."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)
