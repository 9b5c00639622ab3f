"""Synthetic images: deterministic, of the right shape, distinct, and hard for a linear model."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from threadpoolctl import threadpool_limits

from pipeline.datasets.synthetic.synthetic import (
    SOURCE_CLASSES,
    SPIDERS,
    draw_source,
    draw_spider,
    source_image,
    spider_image,
)

DRAWERS = pytest.mark.parametrize("draw", [spider_image, source_image])


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def test_there_are_nine_distinct_spiders_and_two_dozen_or_more_source_kinds() -> None:
    assert len(set(SPIDERS)) == len(SPIDERS) == 9
    assert 24 <= SOURCE_CLASSES < 60


@DRAWERS
def test_the_same_arguments_give_the_same_pixels(draw: Callable[..., Image.Image]) -> None:
    first = [digest(draw(kind, 3, size=48, seed=5)) for kind in range(9)]
    # Other uses of random numbers in between must not matter.
    np.random.default_rng().random(100)
    draw(0, 0, size=64, seed=1)
    assert [digest(draw(kind, 3, size=48, seed=5)) for kind in range(9)] == first


@DRAWERS
@pytest.mark.parametrize("change", [{"index": 1}, {"seed": 1}, {"kind": 1}])
def test_another_index_seed_or_kind_gives_another_picture(
    draw: Callable[..., Image.Image], change: dict[str, int]
) -> None:
    arguments = {"kind": 0, "index": 0, "size": 48, "seed": 0}
    assert digest(draw(**arguments)) != digest(draw(**(arguments | change)))


@DRAWERS
def test_fifty_pictures_of_a_kind_are_all_different(draw: Callable[..., Image.Image]) -> None:
    assert len({digest(draw(2, index, size=32, seed=0)) for index in range(50)}) == 50


@pytest.mark.parametrize("size", [32, 64, 96])
def test_every_kind_draws_an_rgb_picture_of_the_asked_size(size: int) -> None:
    pictures = [spider_image(kind, 0, size=size, seed=0) for kind in range(len(SPIDERS))]
    pictures += [source_image(kind, 0, size=size, seed=0) for kind in range(SOURCE_CLASSES)]
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (size, size))}
    assert min(np.asarray(picture).std() for picture in pictures) > 4


@pytest.mark.parametrize(("kinds", "draw"), [(9, draw_spider), (SOURCE_CLASSES, draw_source)])
def test_kinds_drawn_from_the_same_generator_state_still_differ(kinds: int, draw: Callable[..., Image.Image]) -> None:
    assert len({digest(draw(kind, size=64, rng=np.random.default_rng(7))) for kind in range(kinds)}) == kinds


@pytest.mark.parametrize(
    ("draw", "kind", "message"),
    [
        (draw_spider, 9, "unknown spider kind 9: expected 0 to 8"),
        (draw_spider, -1, "unknown spider kind -1: expected 0 to 8"),
        (
            draw_source,
            SOURCE_CLASSES,
            f"unknown source kind {SOURCE_CLASSES}: expected 0 to {SOURCE_CLASSES - 1}",
        ),
    ],
)
def test_an_unknown_kind_is_refused_with_its_number_and_the_range(
    draw: Callable[..., Image.Image], kind: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw(kind, size=32, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("draw", "kind"), [(spider_image, 9), (spider_image, -1), (source_image, SOURCE_CLASSES)])
def test_the_numbered_drawings_refuse_an_unknown_kind_too(draw: Callable[..., Image.Image], kind: int) -> None:
    with pytest.raises(ValueError, match=f"kind {kind}: expected 0 to"):
        draw(kind, 0, size=32, seed=0)


def test_no_source_picture_equals_a_spider() -> None:
    spiders = {digest(spider_image(kind, index, size=32, seed=0)) for kind in range(9) for index in range(5)}
    sources = {
        digest(source_image(kind, index, size=32, seed=0)) for kind in range(SOURCE_CLASSES) for index in range(5)
    }
    assert not spiders & sources


def test_no_source_figure_equals_a_spider_drawn_with_the_same_random_numbers() -> None:
    spiders = {digest(draw_spider(kind, size=64, rng=np.random.default_rng(3))) for kind in range(9)}
    sources = {digest(draw_source(kind, size=64, rng=np.random.default_rng(3))) for kind in range(SOURCE_CLASSES)}
    assert not spiders & sources


def linear_accuracy(seed: int) -> float:
    pictures = [spider_image(kind, index, size=32, seed=seed) for kind in range(9) for index in range(60)]
    features = np.stack([np.asarray(picture).ravel() / 255 for picture in pictures])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=60)
    return float(cross_val_score(model, features, np.repeat(np.arange(9), 60), cv=folds).mean())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_linear_model_on_pixels_stays_poor() -> None:
    # Threads slow down such small fits.
    with threadpool_limits(1):
        accuracy = np.mean([linear_accuracy(seed) for seed in (0, 1)])
    assert accuracy < 0.35
