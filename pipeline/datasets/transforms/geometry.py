"""Geometric augmentations: flips, crops and affine maps of whole batches, with random parameters per image."""

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.datasets.transforms.augmentation import Augmentation, between, whole

# As torchvision's RandomResizedCrop.
TRIES = 10


class Placement(NamedTuple):
    """An affine map per image: rotation and scaling about its center, then translation.

    Attributes:
        angle: clockwise, in degrees (N,).
        right: in pixels (N,).
        down: in pixels (N,).
        zoom: factor, 1 keeps the size (N,).
    """

    angle: Tensor
    right: Tensor
    down: Tensor
    zoom: Tensor


class Box(NamedTuple):
    """One rectangle per image, in whole pixels (N,)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def horizontal_flip(images: Tensor, random_parameters: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half.

    Shape:
        images (N, 3, S, S), random parameters (N, 1); output as images.
    """
    mirrored = random_parameters[:, 0] < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


FLIP = Augmentation(random_parameters=1, apply=horizontal_flip)


def random_crop(images: Tensor, random_parameters: Tensor, *, size: int, padding: int) -> Tensor:
    """Crop a square from each image, every whole position with equal probability.

    Shape:
        images (N, 3, S, S) with S + 2 * padding >= size, random parameters (N, 2) for top and left; output
        (N, 3, size, size) of the same type.

    Source:
        torchvision.transforms.v2.RandomCrop(size, padding=padding). Departure: none.
    """
    # Windows in place of gather: no index tensor of the output's size.
    padded = F.pad(images, [padding] * 4)
    top, left = whole(random_parameters, padded.shape[-1] - size + 1).long().unbind(1)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # a view: (N, 3, tops, lefts, size, size)
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def affine(*, rotation: float, translation: float = 0.0, scale: float = 0.0) -> Augmentation:
    """Build a random rotation, scaling and translation.

    The angle is uniform in [-rotation, rotation], the scale in [1 - scale, 1 + scale], the translation in whole pixels
    up to the fraction `translation` of the side in each direction.

    Args:
        rotation: degrees, >= 0.
        translation: fraction of the side, >= 0.
        scale: in [0, 1).

    Returns:
        An augmentation of four random parameters. It returns float32, or its input if every strength is 0.

    Source:
        torchvision.transforms.v2.RandomAffine(rotation, translate, scale), and RandomRotation if the others are 0.
        Departures: bilinear in place of its default, nearest; float images.
    """
    return Augmentation(random_parameters=4, apply=partial(_affine, strengths=(rotation, translation, scale)))


def affine_crop(
    *, rotation: float, translation: float, scale: float, crop_scale: float, crop_ratio: float
) -> Augmentation:
    """Build a random rotation, scaling and translation, then a crop of random area and aspect, resized to the image.

    The crop's fraction of the area is uniform in [crop_scale, 1], the logarithm of its width / height in
    [-log(crop_ratio), log(crop_ratio)].

    Args:
        rotation: as in `affine`.
        translation: as in `affine`.
        scale: as in `affine`.
        crop_scale: in (0, 1].
        crop_ratio: >= 1.

    Returns:
        An augmentation of 26 random parameters: four of `affine`, an area and a ratio for each of ten tries, two for
        the position. It returns float32, or its input if every strength is neutral.

    Source:
        torchvision.transforms.v2.RandomAffine, then RandomResizedCrop. Departures: those of `affine`, and one
        interpolation in place of two.
    """
    apply = partial(
        _affine_crop, strengths=(rotation, translation, scale), crop_scale=crop_scale, crop_ratio=crop_ratio
    )
    return Augmentation(random_parameters=4 + 2 * TRIES + 2, apply=apply)


def _affine(images: Tensor, random_parameters: Tensor, *, strengths: tuple[float, float, float]) -> Tensor:
    if not any(strengths):
        return images
    side = torch.full_like(random_parameters[:, 0], images.shape[-1])
    zero = torch.zeros_like(side)
    return resample(images, _placement(random_parameters, images.shape[-1], strengths), Box(zero, zero, side, side))


def _affine_crop(
    images: Tensor,
    random_parameters: Tensor,
    *,
    strengths: tuple[float, float, float],
    crop_scale: float,
    crop_ratio: float,
) -> Tensor:
    if not any(strengths) and crop_scale == crop_ratio == 1:
        return images
    side = images.shape[-1]
    box = resized_crop_box(random_parameters[:, 4:], side, scale=crop_scale, ratio=crop_ratio)
    return resample(images, _placement(random_parameters, side, strengths), box)


def _placement(random_parameters: Tensor, side: int, strengths: tuple[float, float, float]) -> Placement:
    rotation, translation, scale = strengths
    return Placement(
        angle=between(random_parameters[:, 0], -rotation, rotation),
        right=between(random_parameters[:, 1], -translation * side, translation * side).round(),
        down=between(random_parameters[:, 2], -translation * side, translation * side).round(),
        zoom=between(random_parameters[:, 3], 1 - scale, 1 + scale),
    )


def resized_crop_box(random_parameters: Tensor, side: int, *, scale: float, ratio: float) -> Box:
    """Return the crop of RandomResizedCrop on a square image.

    It is the first of ten tries that fits into the image, or else the whole image.

    Args:
        random_parameters: (N, 22): ten areas, ten ratios, top and left.
        side: of the image, in pixels.
        scale: smallest fraction of the area.
        ratio: largest width / height; its inverse is the smallest.

    Source:
        torchvision.transforms.v2.RandomResizedCrop(scale=(scale, 1), ratio=(1 / ratio, ratio)). Departure: none.
    """
    area = side**2 * between(random_parameters[:, :TRIES], scale, 1)
    aspect = between(random_parameters[:, TRIES : 2 * TRIES], -math.log(ratio), math.log(ratio)).exp()
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()  # (N, tries)
    fits = (width > 0) & (width <= side) & (height > 0) & (height <= side)
    first = fits.int().argmax(dim=1, keepdim=True)  # (N, 1); argmax returns the first of equal values
    any_fits = fits.any(dim=1)
    width, height = (torch.where(any_fits, value.gather(1, first)[:, 0], side) for value in (width, height))
    top, left = random_parameters[:, -2:].unbind(1)
    return Box(whole(top, side - height + 1), whole(left, side - width + 1), height, width)


def resample(images: Tensor, placement: Placement, box: Box) -> Tensor:
    """Apply an affine map, crop a box and resize it to S x S, in one interpolation.

    With p an output pixel's position in the box, relative to the image's center, and R the rotation by the angle:
    y(p) = x(R^-1 (p - translation) / zoom), bilinear between pixels and 0 outside the image.

    Args:
        images: (N, 3, S, S), uint8 or float.
        placement: the affine maps.
        box: the crops.

    Returns:
        float32 (N, 3, S, S).

    Source:
        torchvision.transforms.v2.functional.affine, then resized_crop. Departure: one interpolation, without
        antialiasing even if the image gets smaller. The grid is written out: a matrix product, as in
        `torch.nn.functional.affine_grid`, is rounded to bfloat16 under autocast and depends on the size of the batch.
    """
    side = images.shape[-1]
    across = _along(box.left, box.width, side) - placement.right[:, None]  # (N, S)
    along = _along(box.top, box.height, side) - placement.down[:, None]
    cos, sin = (value / placement.zoom for value in (placement.angle.deg2rad().cos(), placement.angle.deg2rad().sin()))
    cos, sin = cos[:, None, None], sin[:, None, None]
    across, along = across[:, None, :], along[:, :, None]
    grid = torch.stack([cos * across + sin * along, cos * along - sin * across], dim=3)  # (N, S, S, 2)
    return F.grid_sample(images.float(), grid * (2 / side), padding_mode="zeros", align_corners=False)


def _along(start: Tensor, length: Tensor, side: int) -> Tensor:
    """Return the positions (N, side) of `side` output pixels on one axis, in pixels from the image's center.

    They are clamped to the box's first and last pixel, as resizing a crop repeats its edge.
    """
    pixels = torch.arange(side, dtype=start.dtype, device=start.device)
    start, length = start[:, None], length[:, None]
    inside = ((pixels + 0.5) * length / side - 0.5).clamp(min=0).minimum(length - 1)
    return start + inside - (side - 1) / 2
