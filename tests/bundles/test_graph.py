"""The exported preprocessing is that of training, pixel by pixel."""

import json
from dataclasses import asdict, replace
from typing import Any, Literal

import described
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.bundles import exporting
from pipeline.bundles.graph import FromPhotographs, resampled, weights
from pipeline.core import imagenet
from pipeline.core.interpolation import BILINEAR, INTERPOLATIONS, Interpolation
from pipeline.datasets.decoding.images import resized
from pipeline.datasets.transforms.image_transform import build_eval_transform
from pipeline.evaluation.uncertainty import judging
from pipeline.training.images import Images

RESIZES = ("stretch", "crop")
Resize = Literal["stretch", "crop"]


def photograph(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Noise, of which every rounding shows."""
    return np.random.default_rng((height, width)).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_pillow(
    pixels: np.ndarray[Any, np.dtype[np.uint8]], size: int, resize: Resize, interpolation: Interpolation = BILINEAR
) -> torch.Tensor:
    image = resized(Image.fromarray(pixels), size, resize, interpolation=interpolation)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


# Smaller, larger and equal; an odd difference of the sides, of which half a pixel is cut; one pixel; wide; so tall that
# Pillow may take the rows first, and just not.
SIZES = [
    *((48, 48), (48, 96), (49, 96), (37, 61), (50, 51), (150, 201), (133, 100), (1, 5), (1, 1), (60, 700)),
    *((300, 40), (66, 40), (152, 100), (153, 100), (135, 100), (136, 100)),
]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_photographs_are_resized_as_pillow_does_it_to_the_last_pixel(
    height: int, width: int, resize: Resize, interpolation: Interpolation
) -> None:
    for size in (48, 65):
        pixels = photograph(height, width)
        result = resampled(torch.from_numpy(pixels)[None], size, resize, interpolation=interpolation)
        assert torch.equal(result, by_pillow(pixels, size, resize, interpolation)), size


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_weights_are_multiples_of_a_fraction_so_that_sums_of_pixels_are_exact(interpolation: Interpolation) -> None:
    for length, taken, size in ((100, 100, 48), (30, 30, 48), (101, 60, 48)):
        values = weights(length, taken, size, interpolation)
        assert torch.equal(values * 2**22, (values * 2**22).round())
        assert (values.sum(1) - 1).abs().max() < length * 2**-22


class Means(nn.Module):
    """Scores that show the whole input of a network: the means of its regions."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 3).flatten(1)


def module(*networks: nn.Module, size: int, crop: int, side: int, temperature: float = 1.0) -> FromPhotographs:
    view = build_eval_transform(image_size=size, crop_size=crop, input_size=side)
    options = {"mean": imagenet.MEAN, "std": imagenet.STD, "temperature": temperature}
    return FromPhotographs(networks, size=size, resize="crop", interpolation=BILINEAR, view=view, **options)


# As it is; a crop; a crop that is padded; resized twice.
@pytest.mark.parametrize(("crop", "side"), [(48, 48), (40, 40), (56, 56), (40, 64)])
def test_crop_input_size_and_normalization_are_those_of_evaluation(crop: int, side: int) -> None:
    pixels = photograph(90, 70)
    whole = module(Means(), size=48, crop=crop, side=side)
    packed = by_pillow(pixels, 48, "crop").byte().numpy()
    images = Images(
        packed,
        torch.tensor([0]),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        device=torch.device("cpu"),
        transform=build_eval_transform(image_size=48, crop_size=crop, input_size=side),
    )
    probabilities, scores = whole(torch.from_numpy(pixels)[None])
    assert torch.equal(scores, Means()(images.batch(torch.tensor([0]))))
    assert torch.equal(probabilities, scores.softmax(1))


def test_a_batch_gives_what_its_photographs_give_one_by_one() -> None:
    several = torch.from_numpy(np.stack([photograph(70, 90), photograph(70, 90)[::-1]]))
    whole = module(Means(), size=48, crop=48, side=48)
    singles = torch.cat([whole(one[None])[1] for one in several])
    assert torch.allclose(whole(several)[1], singles, atol=1e-6)
    assert not torch.allclose(singles[0], singles[1], atol=1e-2)


def test_probabilities_of_several_networks_are_averaged() -> None:
    class Other(Means):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -2 * super().forward(x)

    pixels = torch.from_numpy(photograph(70, 90))[None]
    one, other, both = (
        module(*networks, size=48, crop=48, side=48) for networks in ([Means()], [Other()], [Means(), Other()])
    )
    probabilities, scores = both(pixels)
    assert torch.allclose(probabilities, (one(pixels)[0] + other(pixels)[0]) / 2)
    assert torch.allclose(scores.softmax(1), probabilities)


def test_a_calibrated_bundle_gives_its_probabilities_at_its_temperature() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 9, 60)
    fitted = judging.fit(5 * (np.eye(9)[labels] + draw.normal(size=(60, 9))), labels)
    said = replace(described.FINAL, calibration=json.loads(json.dumps(asdict(fitted))))
    temperature = exporting.temperature(said)
    assert temperature == pytest.approx(fitted.temperature)
    assert temperature > 1.5
    whole = module(Means(), size=48, crop=48, side=48, temperature=temperature)
    probabilities, scores = whole(torch.from_numpy(photograph(70, 90))[None])
    assert np.allclose(probabilities, judging.judge(scores.numpy(), fitted).probabilities, atol=1e-6)
    assert exporting.temperature(described.FINAL) == 1
