"""Where an image's pixels are taken from: flips, crops and one affine map, each image by draws of its own."""

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.datasets.transforms.augmentation import Augmentation, between, whole

TRIES = 10


class Placement(NamedTuple):
    """Where each image is put: turned and scaled about its centre, then moved.

    Attributes:
        angle: clockwise, in degrees (N,).
        right: in pixels (N,).
        down: likewise.
        zoom: 1 keeps the size (N,).
    """

    angle: Tensor
    right: Tensor
    down: Tensor
    zoom: Tensor


class Box(NamedTuple):
    """A rectangle of each image, in whole pixels (N,)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def horizontal_flip(images: Tensor, random_parameters: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half.

    Shape:
        images (N, 3, S, S), draws (N, 1); output as images.
    """
    mirrored = random_parameters[:, 0] < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


FLIP = Augmentation(random_parameters=1, apply=horizontal_flip)


def random_crop(images: Tensor, random_parameters: Tensor, *, size: int, padding: int) -> Tensor:
    """Cut a square out of each image, every whole position as likely.

    Shape:
        images (N, 3, S, S) with S + 2 * padding >= size, draws (N, 2) for top and left; output (N, 3, size, size) of
        the same type.

    Source:
        torchvision.transforms.v2.RandomCrop(size, padding=padding). Departure: none.
    """
    padded = F.pad(images, [padding] * 4)
    top, left = whole(random_parameters, padded.shape[-1] - size + 1).long().unbind(1)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # a view: (N, 3, tops, lefts, size, size)
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def affine(*, rotation: float, translation: float = 0.0, scale: float = 0.0) -> Augmentation:
    """Turn, scale and move.

    The angle is uniform in [-rotation, rotation], the move in whole pixels up to `translation` of the side each way,
    the scale in [1 - scale, 1 + scale].

    Args:
        rotation: degrees, >= 0.
        translation: part of the side, >= 0.
        scale: in 0 .. 1, 1 left out.

    Returns:
        An augmentation of four draws. Its images are float32, or untouched where every strength is 0.

    Source:
        torchvision.transforms.v2.RandomAffine(rotation, translate, scale), and RandomRotation where the others are 0.
        Departures: bilinear in place of its default, the nearest pixel; float images.
    """
    return Augmentation(random_parameters=4, apply=partial(_affine, strengths=(rotation, translation, scale)))


def affine_crop(
    *, rotation: float, translation: float, scale: float, crop_scale: float, crop_ratio: float
) -> Augmentation:
    """Turn, scale and move, then cut a rectangle out and stretch it to the image's size.

    The rectangle has a part in [crop_scale, 1] of the area, uniform, and width / height in
    [1 / crop_ratio, crop_ratio], uniform in its logarithm.

    Args:
        rotation: as in `affine`.
        translation: as in `affine`.
        scale: as in `affine`.
        crop_scale: in 0 .. 1, 0 left out.
        crop_ratio: >= 1.

    Returns:
        An augmentation of 26 draws: four of `affine`, an area and a ratio for each of ten tries, two for the place.
        Its images are float32, or untouched where nothing is to change.

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
    nowhere = torch.zeros_like(side)
    return resample(
        images, _placement(random_parameters, images.shape[-1], strengths), Box(nowhere, nowhere, side, side)
    )


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
    """The rectangle that RandomResizedCrop cuts out of a square image.

    Of ten tries the first that fits in; the whole image where none does.

    Args:
        random_parameters: (N, 22): ten areas, ten ratios, top and left.
        side: of the image, in pixels.
        scale: the smallest part of the area.
        ratio: the largest width / height; its inverse is the smallest.

    Source:
        torchvision.transforms.v2.RandomResizedCrop(scale=(scale, 1), ratio=(1 / ratio, ratio)). Departure: none.
    """
    area = side**2 * between(random_parameters[:, :TRIES], scale, 1)
    aspect = between(random_parameters[:, TRIES : 2 * TRIES], -math.log(ratio), math.log(ratio)).exp()
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()  # (N, tries)
    fits = (width > 0) & (width <= side) & (height > 0) & (height <= side)
    first = fits.int().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    width, height = (torch.where(found, value.gather(1, first)[:, 0], side) for value in (width, height))
    top, left = random_parameters[:, -2:].unbind(1)
    return Box(whole(top, side - height + 1), whole(left, side - width + 1), height, width)


def resample(images: Tensor, placement: Placement, box: Box) -> Tensor:
    """Put images as `placement` says, cut `box` out of the outcome and stretch it to S x S, in one interpolation.

    With p an output pixel's place in the box, relative to the image's centre, and R the rotation by the angle:
    y(p) = x(R^-1 (p - move) / zoom), bilinear between pixels and 0 outside the image.

    Args:
        images: (N, 3, S, S), uint8 or float.
        placement: (N,) each.
        box: likewise.

    Returns:
        float32 (N, 3, S, S).

    Source:
        torchvision.transforms.v2.functional.affine, then resized_crop. Departure: one interpolation, also where the
        image gets smaller, so without antialiasing. The grid is written out: a matrix product, as in
        `torch.nn.functional.affine_grid`, is rounded to bfloat16 under autocast and depends on the size of the batch.
    """
    side = images.shape[-1]
    across = _along(box.left, box.width, side) - placement.right[:, None]  # (N, S)
    along = _along(box.top, box.height, side) - placement.down[:, None]
    cos, sin = (turn / placement.zoom for turn in (placement.angle.deg2rad().cos(), placement.angle.deg2rad().sin()))
    cos, sin = cos[:, None, None], sin[:, None, None]
    across, along = across[:, None, :], along[:, :, None]
    places = torch.stack([cos * across + sin * along, cos * along - sin * across], dim=3)  # (N, S, S, 2)
    return F.grid_sample(images.float(), places * (2 / side), padding_mode="zeros", align_corners=False)


def _along(start: Tensor, length: Tensor, side: int) -> Tensor:
    """Where `side` output pixels lie on one axis (N, side), in pixels from the image's centre.

    Kept between the box's first and last pixel, as resizing a cut-out repeats its edge.
    """
    pixels = torch.arange(side, dtype=start.dtype, device=start.device)
    start, length = start[:, None], length[:, None]
    inside = ((pixels + 0.5) * length / side - 0.5).clamp(min=0).minimum(length - 1)
    return start + inside - (side - 1) / 2
