"""Color jitter of whole batches: brightness, contrast, saturation and hue, in a random order per image."""

from functools import partial

import torch
from torch import Tensor

from pipeline.datasets.transforms.augmentation import Augmentation, between

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


def color_jitter(*, brightness: float, contrast: float, saturation: float, hue: float) -> Augmentation:
    """Build random changes of brightness, contrast, saturation and hue, in a random order.

    Factors are uniform in [max(0, 1 - strength), 1 + strength], the shift of hue in [-hue, hue] turns; all 24 orders
    have equal probability.

    Args:
        brightness: strength, >= 0.
        contrast: strength, >= 0.
        saturation: strength, >= 0.
        hue: in 0..0.5.

    Returns:
        An augmentation of eight random parameters: four factors, and four numbers whose ranks are the order. It returns
        float32, or its input if every strength is 0.

    Source:
        torchvision.transforms.v2.ColorJitter, as used by CSCA. Departure: on float images, so nothing is rounded to
        whole numbers between operations.
    """
    apply = partial(_jittered, strengths=(brightness, contrast, saturation), hue=hue)
    return Augmentation(random_parameters=8, apply=apply)


def _jittered(images: Tensor, random_parameters: Tensor, *, strengths: tuple[float, ...], hue: float) -> Tensor:
    if not any((*strengths, hue)):
        return images
    factors = [between(random_parameters[:, i], max(0.0, 1 - s), 1 + s) for i, s in enumerate(strengths)]
    shift = between(random_parameters[:, HUE], -hue, hue)
    order = random_parameters[:, 4:].argsort(dim=1, stable=True)
    return jitter(images, torch.stack([*factors, shift], dim=1), order)


def jitter(images: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Change colors by factors per image, in an order per image.

    Hue is changed once for the whole batch. The other operations run up to three times before it and up to three times
    after it; in images where it is not their turn they have factor 1, which keeps every bit.

    Args:
        images: (N, 3, H, W) in 0..255.
        factors: (N, 4): factors of brightness, contrast and saturation, and the shift of hue in turns.
        order: (N, 4), each row a permutation of the operations' numbers.

    Returns:
        float32 (N, 3, H, W).
    """
    images = images.float()
    hue_step = (order == HUE).int().argmax(dim=1)  # (N,)
    for step in range(3):
        images = _blend_at(images, factors, order[:, step], hue_step > step)
    images = adjust_hue(images, factors[:, HUE])
    for step in range(1, 4):
        images = _blend_at(images, factors, order[:, step], hue_step < step)
    return images


def _blend_at(images: Tensor, factors: Tensor, kind: Tensor, active: Tensor) -> Tensor:
    factor = factors.gather(1, kind[:, None])[:, 0]
    return blend(images, kind, torch.where(active, factor, 1.0))


def blend(images: Tensor, kind: Tensor, factor: Tensor) -> Tensor:
    """Blend each image with black, with its mean gray or with its gray image.

    y = f * x + (1 - f) * other, clamped to 0..255; other is 0 (brightness), the mean of x's gray values (contrast) or
    x's gray values (saturation), gray = 0.2989 R + 0.587 G + 0.114 B.

    Args:
        images: float (N, 3, H, W) in 0..255.
        kind: BRIGHTNESS, CONTRAST or SATURATION (N,); any number with factor 1.
        factor: f (N,).

    Source:
        torchvision.transforms.v2.functional.adjust_brightness, adjust_contrast, adjust_saturation. Departure: none.
    """
    red, green, blue = images.split(1, dim=1)
    gray = 0.2989 * red + 0.587 * green + 0.114 * blue  # (N, 1, H, W)
    # Rows first: a sum over both axes of a single image is split between threads and differs in its last digits.
    mean = gray.mean(3, keepdim=True).mean(2, keepdim=True)
    other = torch.where(_each(kind == SATURATION), gray, mean * _each(kind == CONTRAST))
    return torch.lerp(other, images, _each(factor)).clamp_(0, 255)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Shift each image's hue.

    With M the largest and m the smallest of a pixel's R, G, B, C = M - m, and h its hue in 0..6:
    y_n = M - C * clamp(2 - |(n + h + 6 * shift) mod 6 - 2|, 0, 1), n = 5, 3, 1 for R, G, B.

    Args:
        images: float (N, 3, H, W).
        shift: in turns (N,).

    Source:
        torchvision.transforms.v2.functional.adjust_hue. Departure: the conversion back from hue, saturation and
        value is the formula above in place of a table of six cases; the values are equal.
    """
    red, green, blue = images.split(1, dim=1)
    most: Tensor = red.maximum(green).maximum(blue)  # (N, 1, H, W)
    chroma = most - red.minimum(green).minimum(blue)
    shifted = _hue(red, green, blue, most, chroma) + 6 * _each(shift)
    shifted = shifted + torch.arange(5, 0, -2, device=images.device).view(1, 3, 1, 1)  # (N, 3, H, W)
    weight = shifted.remainder_(6).sub_(2).abs_().neg_().add_(2).clamp_(0, 1)
    return most - weight.mul_(chroma)


def _hue(red: Tensor, green: Tensor, blue: Tensor, most: Tensor, chroma: Tensor) -> Tensor:
    """Return the hue in -1..5, from the two channels that are not the largest; 0 for gray, whose chroma is 0."""
    # Products with masks, as torch.where on three tensors is several times slower on a CPU.
    is_red = most == red
    is_green = (most == green) & ~is_red
    is_blue = ~(is_red | is_green)
    difference = is_red * (green - blue) + is_green * (blue - red) + is_blue * (red - green)
    return difference / chroma.clamp(min=torch.finfo(chroma.dtype).tiny) + (2.0 * is_green + 4.0 * is_blue)


def _each(values: Tensor) -> Tensor:
    """Return one value per image (N,) as (N, 1, 1, 1), to broadcast."""
    return values[:, None, None, None]
