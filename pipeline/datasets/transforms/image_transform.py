"""What a network is shown of packed images: crop, augmentation and input size, on the device, on whole batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.choices import load, row
from pipeline.core.errors import InputError
from pipeline.core.vision import functional
from pipeline.datasets.transforms.augmentation import Augmentation
from pipeline.datasets.transforms.color import color_jitter
from pipeline.datasets.transforms.geometry import FLIP, affine, affine_crop, random_crop
from pipeline.datasets.transforms.table import AUGMENTATIONS, NO_AUGMENTATION

# What a CPU's caches hold: a whole batch of floats in one go takes several times longer. A GPU takes it whole.
PIXELS_AT_ONCE_ON_A_CPU = 2**18


@dataclass(frozen=True)
class ImageTransform:
    """How images are shown, in training and in testing; made by `view`.

    Attributes:
        crop_size: side of the square that is cut out, at random in training, at the centre in testing.
        crop_padding: zeros around the image before the random cut.
        positions: how many places on each axis the random cut has.
        input_size: side of what the network is given: the cut-out, resized where it differs.
        augmentations: what varies the cut-out in training, in order.
    """

    crop_size: int
    crop_padding: int
    positions: int
    input_size: int
    augmentations: tuple[Augmentation, ...]

    @property
    def random_parameters(self) -> int:
        """How many uniform numbers an image takes in training; 0 where it looks the same every time."""
        return self._crop_parameters + sum(augmentation.random_parameters for augmentation in self.augmentations)

    @property
    def _crop_parameters(self) -> int:
        return 2 if self.positions > 1 else 0

    def eval_transform(self, images: Tensor) -> Tensor:
        """The centre of each image, resized; in testing, and in training where `random_parameters` is 0.

        A crop that is larger than the image has zeros around it, as torchvision's center_crop does.

        Shape:
            (N, 3, S, S) uint8; output (N, 3, I, I): uint8 untouched or cut out, float32 in 0..255 where resized.
        """
        return self._resized(self._centre(images))

    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        """Each image as its own draws show it.

        Shape:
            (N, 3, S, S) uint8 and (N, draws) in [0, 1); output (N, 3, I, I), uint8 or float32 in 0..255.
        """
        on_cpu = images.device.type == "cpu"
        at_once = max(1, PIXELS_AT_ONCE_ON_A_CPU // self.crop_size**2) if on_cpu else len(images)
        pieces = zip(images.split(at_once), random_parameters.split(at_once), strict=True)
        return torch.cat([self._varied(*piece) for piece in pieces])

    def _varied(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        images = self._cropped(images, random_parameters[:, : self._crop_parameters])
        start = self._crop_parameters
        for augmentation in self.augmentations:
            images = augmentation.apply(images, random_parameters[:, start : start + augmentation.random_parameters])
            start += augmentation.random_parameters
        return self._resized(images)

    def _cropped(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        if not self._crop_parameters:
            return self._centre(images)
        return random_crop(images, random_parameters, size=self.crop_size, padding=self.crop_padding)

    def _centre(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.crop_size:
            return images
        centre: Tensor = functional.center_crop(images, [self.crop_size] * 2)
        return centre

    def _resized(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.input_size:
            return images
        # Of float everywhere: a GPU resizes no uint8, and a CPU would round it.
        resized: Tensor = functional.resize(images.float(), [self.input_size] * 2, antialias=True)
        return resized


def crop_alone() -> tuple[Augmentation, ...]:
    """Nothing but the view's own crop: SPA-GCA's augmentation."""
    return ()


def flip() -> tuple[Augmentation, ...]:
    """A horizontal flip."""
    return (FLIP,)


def csca(
    *, brightness: float, contrast: float, saturation: float, hue: float, rotation: float
) -> tuple[Augmentation, ...]:
    """CSCA's: color jitter, flip, rotation, in the order in which the paper names them."""
    jitter = color_jitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    return (jitter, FLIP, affine(rotation=rotation))


def hierarchical(
    *, rotation: float, scale: float, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[Augmentation, ...]:
    """The hierarchical paper's: flip, rotation, scaling, color jitter; its padded crop is the view's."""
    jitter = color_jitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    return (FLIP, affine(rotation=rotation, scale=scale), jitter)


def animals(
    *, rotation: float, translation: float, scale: float, crop_scale: float, crop_ratio: float
) -> tuple[Augmentation, ...]:
    """The animals paper's: flip, translation, rotation, scaling, crop of varying proportions."""
    moved = affine_crop(
        rotation=rotation, translation=translation, scale=scale, crop_scale=crop_scale, crop_ratio=crop_ratio
    )
    return (FLIP, moved)


def view(
    *,
    image_size: int,
    crop_size: int,
    crop_padding: int,
    input_size: int,
    augmentation: str,
    options: Mapping[str, float],
) -> ImageTransform:
    """Say how packed images are shown: cut out, varied, resized.

    Args:
        image_size: side of the packed images.
        crop_size: side of the square that is cut out.
        crop_padding: zeros put around the image before the random cut, in training only.
        input_size: side of what the network is given.
        augmentation: a row of `AUGMENTATIONS`, or `none`.
        options: exactly that row's own, e.g. `rotation`.

    Returns:
        The view. Cut-outs are resized last, so augmentations work on `crop_size` pixels.

    Raises:
        InputError: for an unknown augmentation, and for a crop that does not fit into the padded image.
    """
    varies = augmentation != NO_AUGMENTATION
    make = load(row(AUGMENTATIONS, augmentation, key="augmentation").make) if varies else crop_alone
    positions = image_size + 2 * crop_padding - crop_size + 1
    if positions < 1:
        raise InputError(
            f"crop_size: {crop_size} does not fit into images of {image_size} (image_size) with {crop_padding} "
            f"(crop_padding) around them; the largest that does is {image_size + 2 * crop_padding}"
        )
    return ImageTransform(crop_size, crop_padding, positions, input_size, make(**options))
