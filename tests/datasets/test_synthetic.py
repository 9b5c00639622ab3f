"""Synthetic images: deterministic, of the right shape, distinct, and hard for a linear model."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from threadpoolctl import threadpool_limits

from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def test_there_are_nine_distinct_spiders() -> None:
    assert len(set(SPIDERS)) == len(SPIDERS) == 9


def test_the_same_arguments_give_the_same_pixels() -> None:
    first = [digest(spider_image(kind, 3, size=48, seed=5)) for kind in range(9)]
    # Other uses of random numbers in between must not matter.
    np.random.default_rng().random(100)
    spider_image(0, 0, size=64, seed=1)
    assert [digest(spider_image(kind, 3, size=48, seed=5)) for kind in range(9)] == first


@pytest.mark.parametrize("change", [{"index": 1}, {"seed": 1}, {"kind": 1}])
def test_another_index_seed_or_kind_gives_another_picture(change: dict[str, int]) -> None:
    arguments = {"kind": 0, "index": 0, "size": 48, "seed": 0}
    assert digest(spider_image(**arguments)) != digest(spider_image(**(arguments | change)))


def test_fifty_pictures_of_a_kind_are_all_different() -> None:
    assert len({digest(spider_image(2, index, size=32, seed=0)) for index in range(50)}) == 50


@pytest.mark.parametrize("size", [32, 64, 96])
def test_every_kind_draws_an_rgb_picture_of_the_asked_size(size: int) -> None:
    pictures = [spider_image(kind, 0, size=size, seed=0) for kind in range(len(SPIDERS))]
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (size, size))}
    assert min(np.asarray(picture).std() for picture in pictures) > 4


@pytest.mark.parametrize("kind", [9, -1])
def test_an_unknown_kind_is_refused_with_its_number_and_the_range(kind: int) -> None:
    with pytest.raises(ValueError, match=f"unknown spider kind {kind}: expected 0 to 8"):
        spider_image(kind, 0, size=32, seed=0)


def linear_accuracy(seed: int) -> float:
    pictures = [spider_image(kind, index, size=32, seed=seed) for kind in range(9) for index in range(60)]
    features = np.stack([np.asarray(picture).ravel() / 255 for picture in pictures])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=60)
    return float(cross_val_score(model, features, np.repeat(np.arange(9), 60), cv=folds).mean())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_linear_model_on_pixels_stays_poor() -> None:
    # Threads slow down such small fits.
    with threadpool_limits(1):
        accuracy = np.mean([linear_accuracy(seed) for seed in (0, 1)])
    assert accuracy < 0.35
