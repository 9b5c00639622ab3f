"""Decoded photographs in, probabilities out: the preprocessing of training and the networks, as one module.

It is what other programs get, exported. Pillow resized the images of training in two passes, over columns and over
rows, each rounded to whole numbers; here each pass is a product with a matrix of Pillow's own weights, in numbers that
hold its results exactly. The resizing operations of torch and of ONNX round once or to other weights, and cannot start
at half a pixel, as the crop of an image with an odd difference of its sides does; a difference of 1 of 255 in some
pixels was seen to change probabilities by 0.05.
"""

from collections.abc import Sequence
from typing import Literal, cast

import PIL
import torch
from torch import Tensor, nn

from pipeline.core.interpolation import BICUBIC, Interpolation
from pipeline.datasets.transforms.image_transform import ImageTransform

# Pillow's weights are multiples of this fraction: 8 of 32 bits are the pixel's, and 2 are room.
FRACTION = 2.0**-22
# Since version 13 it resizes the rows of tall images before their columns.
ROWS_FIRST = int(PIL.__version__.partition(".")[0]) >= 13


class FromPhotographs(nn.Module):
    """Networks with all that comes before and after them.

    Args:
        networks: in eval mode; of several, the probabilities are averaged.
        size: side in pixels to which training resized images.
        resize: how: "stretch" both sides, or "crop" the center of the longer one.
        interpolation: between pixels.
        view: the eval transform, center crop and input size.
        mean: per channel, for images scaled to 0..1.
        std: likewise.
        temperature: by which class scores are divided before softmax; 1 without calibration.

    Shape:
        Input (N, H, W, 3) uint8, red green blue, upright, any H and W: as decoders give images, so that nothing is
        left to transpose. Output two of (N, K): probabilities, and class scores; of several networks the scores are
        the logarithms of the probabilities' means.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        networks: Sequence[nn.Module],
        *,
        size: int,
        resize: Literal["stretch", "crop"],
        interpolation: Interpolation,
        view: ImageTransform,
        mean: Sequence[float],
        std: Sequence[float],
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.size = size
        self.resize = resize
        self.interpolation = interpolation
        self.view = view
        self.temperature = temperature
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))
        self.eval()

    def forward(self, photographs: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and class scores."""
        packed = resampled(photographs, self.size, self.resize, interpolation=self.interpolation)
        shown = self.view.eval_transform(packed)
        images = (shown.to(torch.float32, memory_format=torch.channels_last) - self.mean) / self.std
        scores = [network(images) for network in self.networks]
        logits = scores[0] if len(scores) == 1 else torch.stack([one.softmax(1) for one in scores]).mean(0).log()
        return (logits / self.temperature).softmax(1), logits


def resampled(
    photographs: Tensor, size: int, resize: Literal["stretch", "crop"], *, interpolation: Interpolation
) -> Tensor:
    """Resize as Pillow does, with antialiasing where the image gets smaller: `decoding.images.resized`.

    Shape:
        (N, H, W, 3) uint8; output (N, 3, S, S) float32, whole numbers from 0 to 255.
    """
    height, width = photographs.shape[1:3]
    # By torch's functions, so that an exported graph takes any size.
    shorter = cast(int, torch.sym_min(height, width))
    taken = (shorter, shorter) if resize == "crop" else (height, width)
    # Sums of products of 8 and 22 bits are exact in float64.
    given = (
        photographs.permute(0, 3, 1, 2).double(),
        weights(width, taken[1], size, interpolation),
        weights(height, taken[0], size, interpolation),
    )
    tall = height - size > cast(int, torch.sym_max(0, 2 * (width - size)))
    if not ROWS_FIRST:
        return _columns_first(*given).float()
    # While it is exported, whether an image is tall is not known.
    if not isinstance(tall, bool):
        return cast(Tensor, torch.cond(tall, _rows_first, _columns_first, given)).float()
    return (_rows_first if tall else _columns_first)(*given).float()


def _columns_first(pixels: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    return _rounded(rows @ _rounded(pixels @ columns.T))


def _rows_first(pixels: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    return _rounded(_rounded(rows @ pixels) @ columns.T)


def _rounded(values: Tensor) -> Tensor:
    # Weights below 0, which bicubic ones have, lead out of the pixels' range.
    return (values + 0.5).floor().clamp(0, 255)


def weights(length: int, taken: int, size: int, interpolation: Interpolation) -> Tensor:
    """Return Pillow's weights of an axis's pixels in each pixel of the resized axis.

    A triangle about the resized pixel's center, as wide as two of its pixels, or of the image's if those are larger;
    for bicubic, two cubic polynomials (Keys 1981, a = -1/2) over twice that width. Multiplied by `2 size`, all places
    are whole numbers.

    Args:
        length: L, pixels of the axis.
        taken: how many of them, about the center, become the resized axis; those beside it count at its ends.
        size: S, pixels of the resized axis.
        interpolation: between pixels.

    Returns:
        float64 (S, L), rows of sum 1.
    """
    centers = (2 * torch.arange(size) + 1) * taken + (length - taken) * size
    distances = ((2 * torch.arange(length) + 1) * size - centers[:, None]).abs()
    width = 2 * cast(int, torch.sym_max(taken, size))
    cubic = interpolation == BICUBIC
    kernel = _cubic(distances.double() / width) if cubic else (width - distances).clamp(min=0).double()
    exact = kernel / kernel.sum(1, keepdim=True) / FRACTION
    # Halves away from 0.
    return exact.sign() * (exact.abs() + 0.5).floor() * FRACTION


def _cubic(x: Tensor) -> Tensor:
    """Return Keys's kernel with a = -1/2 at distances x >= 0, in pixels."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
