"""Eval and train transforms of packed images: crop, augmentation and input size, on the device, on whole batches."""

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

# A chunk that fits into a CPU's caches: a whole batch of floats takes several times longer. A GPU gets whole batches.
CPU_CHUNK_PIXELS = 2**18


@dataclass(frozen=True)
class ImageTransform:
    """The eval and train transform of a recipe; see `build_transform`.

    Attributes:
        crop_size: side of the square crop, at a random position in training, at the center in evaluation.
        crop_padding: zeros around the image before the random crop.
        positions: number of positions of the random crop on each axis.
        input_size: side of the network's input, to which crops of another size are resized.
        augmentations: operations on training crops, in order.
    """

    crop_size: int
    crop_padding: int
    positions: int
    input_size: int
    augmentations: tuple[Augmentation, ...]

    @property
    def random_parameters(self) -> int:
        """Number P of uniform numbers per training image; 0 if the train transform is not random."""
        return self._crop_parameters + sum(augmentation.random_parameters for augmentation in self.augmentations)

    @property
    def computes_on_cpu(self) -> bool:
        """Whether the train transform takes tensors on the CPU alone."""
        return any(augmentation.computes_on_cpu for augmentation in self.augmentations)

    @property
    def _crop_parameters(self) -> int:
        return 2 if self.positions > 1 else 0

    def eval_transform(self, images: Tensor) -> Tensor:
        """Crop the center of each image and resize it; for evaluation, and training if `random_parameters` is 0.

        A crop larger than the image is padded with zeros, as by torchvision's center_crop.

        Shape:
            (N, 3, S, S) uint8; output (N, 3, I, I): uint8, or float32 in 0..255 if resized.
        """
        return self._resized(self._center(images))

    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        """Crop, augment and resize each image by its own random parameters.

        Shape:
            (N, 3, S, S) uint8 and (N, P) in [0, 1); output (N, 3, I, I), uint8 or float32 in 0..255.
        """
        on_cpu = images.device.type == "cpu"
        chunk_size = max(1, CPU_CHUNK_PIXELS // self.crop_size**2) if on_cpu else len(images)
        chunks = zip(images.split(chunk_size), random_parameters.split(chunk_size), strict=True)
        return torch.cat([self._transform_chunk(*chunk) for chunk in chunks])

    def _transform_chunk(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        images = self._cropped(images, random_parameters[:, : self._crop_parameters])
        start = self._crop_parameters
        for augmentation in self.augmentations:
            images = augmentation.apply(images, random_parameters[:, start : start + augmentation.random_parameters])
            start += augmentation.random_parameters
        return self._resized(images)

    def _cropped(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        if not self._crop_parameters:
            return self._center(images)
        return random_crop(images, random_parameters, size=self.crop_size, padding=self.crop_padding)

    def _center(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.crop_size:
            return images
        center: Tensor = functional.center_crop(images, [self.crop_size] * 2)
        return center

    def _resized(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.input_size:
            return images
        # In float on every device: a GPU cannot resize uint8, and a CPU would round it.
        resized: Tensor = functional.resize(images.float(), [self.input_size] * 2, antialias=True)
        return resized


def none() -> tuple[Augmentation, ...]:
    """Build no operation: the random crop of the train transform, if there is one, is all that varies an image."""
    return ()


def flip() -> tuple[Augmentation, ...]:
    """Build a horizontal flip."""
    return (FLIP,)


def csca(
    *, brightness: float, contrast: float, saturation: float, hue: float, rotation: float
) -> tuple[Augmentation, ...]:
    """Build CSCA's augmentation: color jitter, flip, rotation, in the paper's order."""
    jitter = color_jitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    return (jitter, FLIP, affine(rotation=rotation))


def hierarchical(
    *, rotation: float, scale: float, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[Augmentation, ...]:
    """Build the hierarchical paper's augmentation: flip, rotation, scaling, color jitter.

    Its padded crop is the train transform's `crop_padding`.
    """
    jitter = color_jitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    return (FLIP, affine(rotation=rotation, scale=scale), jitter)


def animals(
    *, rotation: float, translation: float, scale: float, crop_scale: float, crop_ratio: float
) -> tuple[Augmentation, ...]:
    """Build the animals paper's augmentation: flip, translation, rotation, scaling, crop of random proportions."""
    affine_and_crop = affine_crop(
        rotation=rotation, translation=translation, scale=scale, crop_scale=crop_scale, crop_ratio=crop_ratio
    )
    return (FLIP, affine_and_crop)


def build_eval_transform(*, image_size: int, crop_size: int, input_size: int) -> ImageTransform:
    """Build the transform of evaluation alone: center crop, input size.

    Args:
        image_size: side of the packed images.
        crop_size: side of the center crop.
        input_size: side of the network's input.
    """
    return build_transform(
        # Larger than the image is only a crop of a padded one; the eval transform pads its center instead.
        image_size=max(image_size, crop_size),
        crop_size=crop_size,
        crop_padding=0,
        input_size=input_size,
        augmentation=NO_AUGMENTATION,
        options={},
    )


def build_transform(
    *,
    image_size: int,
    crop_size: int,
    crop_padding: int,
    input_size: int,
    augmentation: str,
    options: Mapping[str, float],
) -> ImageTransform:
    """Build the transforms of packed images: crop, augmentation, resize.

    Args:
        image_size: side of the packed images.
        crop_size: side of the square crop.
        crop_padding: zeros around the image before the random crop, in training only.
        input_size: side of the network's input.
        augmentation: key of `AUGMENTATIONS`, or `none`.
        options: exactly the options of that augmentation, e.g. `rotation`.

    Returns:
        The transforms. Crops are resized last, so augmentations work on `crop_size` pixels.

    Raises:
        InputError: if the augmentation is unknown, or the crop does not fit into the padded image.
    """
    is_augmented = augmentation != NO_AUGMENTATION
    make = load(row(AUGMENTATIONS, augmentation, key="augmentation").make) if is_augmented else none
    positions = image_size + 2 * crop_padding - crop_size + 1
    if positions < 1:
        raise InputError(
            f"crop_size: {crop_size} does not fit into images of {image_size} (image_size) with {crop_padding} "
            f"(crop_padding) around them; the largest that does is {image_size + 2 * crop_padding}"
        )
    return ImageTransform(crop_size, crop_padding, positions, input_size, make(**options))
