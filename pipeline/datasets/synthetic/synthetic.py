"""Synthetic pictures: nine kinds of spiders to adapt a network to.

They differ in the proportions of their legs, the outline of the body and the marks on the abdomen; some pairs differ
only in the symmetry of the marks.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.datasets.synthetic.drawing import (
    Canvas,
    Color,
    Pose,
    Shapes,
    bar,
    blend,
    choose,
    limb,
    random_pose,
    scene,
    spot,
    superellipse,
    vary,
)

# First part of each seed, so that no other use of a seed shares the random stream.
_SPIDER_DOMAIN = 1

# Largest rotation in radians, and largest shift from the middle of the picture.
_TURN = 0.75
_DRIFT = 0.15

_COATS: tuple[Color, ...] = (
    (62, 44, 34),
    (96, 62, 38),
    (44, 44, 48),
    (128, 86, 46),
    (84, 78, 52),
    (112, 48, 36),
    (150, 116, 72),
)
_MARKINGS: tuple[Color, ...] = (
    (238, 226, 186),
    (236, 202, 92),
    (226, 142, 76),
    (232, 236, 236),
    (206, 214, 150),
)


def _chevron(y: float) -> Shapes:
    return bar((-0.62, y + 0.3), (0.04, y - 0.06), 0.2), bar((0.62, y + 0.3), (-0.04, y - 0.06), 0.2)


_LEFT_SPOTS: Shapes = tuple(spot(-0.36, y, 0.2) for y in (-0.45, 0.05, 0.55))
_RIGHT_SPOTS: Shapes = tuple(spot(0.36, y, 0.2) for y in (-0.45, 0.05, 0.55))
_CHEVRONS: Shapes = (*_chevron(-0.45), *_chevron(0.05), *_chevron(0.5))
_SLANTS: Shapes = tuple(bar((-0.55, y + 0.2), (0.55, y - 0.2), 0.2) for y in (-0.45, 0.05, 0.55))
_CROSS: Shapes = (bar((0, -0.75), (0, 0.75), 0.26), bar((-0.62, -0.15), (0.62, -0.15), 0.26))
_HALF_CROSS: Shapes = (bar((0, -0.75), (0, 0.75), 0.26), bar((0, -0.15), (0.66, -0.15), 0.26))


@dataclass(frozen=True)
class _Spider:
    name: str
    legs: tuple[float, float, float, float]
    leg_width: float
    abdomen: tuple[float, float]
    taper: float
    exponent: float
    marks: Shapes


_EVEN_LEGS = (0.85, 0.75, 0.68, 0.82)
_SPIDER_TABLE: tuple[_Spider, ...] = (
    _Spider("long_legged", (1.15, 1.05, 0.95, 1.1), 0.035, (0.2, 0.3), 0.0, 2.0, ()),
    _Spider("cross_backed", _EVEN_LEGS, 0.065, (0.34, 0.42), 0.0, 2.0, _CROSS),
    _Spider("half_crossed", _EVEN_LEGS, 0.065, (0.34, 0.42), 0.0, 2.0, _HALF_CROSS),
    _Spider("twin_spotted", _EVEN_LEGS, 0.065, (0.34, 0.42), 0.1, 2.0, _LEFT_SPOTS + _RIGHT_SPOTS),
    _Spider("side_spotted", _EVEN_LEGS, 0.065, (0.34, 0.42), 0.1, 2.0, _LEFT_SPOTS),
    _Spider("chevron_backed", (0.8, 0.7, 0.66, 0.86), 0.06, (0.28, 0.48), -0.15, 2.0, _CHEVRONS),
    _Spider("slant_barred", (0.8, 0.7, 0.66, 0.86), 0.06, (0.28, 0.48), -0.15, 2.0, _SLANTS),
    _Spider("crab_legged", (1.05, 0.98, 0.5, 0.48), 0.085, (0.42, 0.34), 0.25, 2.6, ()),
    _Spider("slim_bodied", (1.1, 0.75, 0.45, 0.95), 0.05, (0.17, 0.6), 0.0, 2.4, (bar((0, -0.8), (0, 0.8), 0.5),)),
)

SPIDERS: tuple[str, ...] = tuple(spider.name for spider in _SPIDER_TABLE)

# Directions in radians of the four right legs, from the front leg to the hind leg; 0 is straight ahead.
_LEG_ANGLES = (0.55, 1.2, 1.85, 2.55)
_HEAD = (0.0, -0.3)


def _paint_marks(canvas: Canvas, pose: Pose, marks: Shapes, coat: Color, rng: np.random.Generator) -> None:
    # Mixed with the coat, so that the contrast of marks varies.
    color = blend(vary(choose(_MARKINGS, rng), rng, 12), coat, rng.uniform(0.0, 0.35))
    for mark in marks:
        # Shifted a little, so that positions vary within a class.
        canvas.polygon(pose.place(mark + rng.normal(0, 0.03, 2)), color)


def _paint_legs(canvas: Canvas, pose: Pose, spider: _Spider, color: Color, rng: np.random.Generator) -> None:
    bend = rng.uniform(0.1, 0.5)
    for side in (-1, 1):
        for angle, length in zip(_LEG_ANGLES, spider.legs, strict=True):
            # The legs of the front half bend ahead, the others to the back.
            turn = (-bend if angle < np.pi / 2 else bend) + rng.normal(0, 0.15)
            start = angle - turn * 0.8 + rng.normal(0, 0.1)
            joints = limb(np.array(_HEAD), side * start, length * rng.normal(1, 0.05), side * turn)
            canvas.stroke(pose.place(joints), spider.leg_width * pose.scale, color)


def _paint_spider(spider: _Spider, canvas: Canvas, rng: np.random.Generator) -> None:
    pose = random_pose(rng, scale=(0.68, 0.9), turn=_TURN, drift=_DRIFT)
    coat = vary(choose(_COATS, rng), rng, 14)
    dark = blend(coat, (0, 0, 0), rng.uniform(0.15, 0.4))
    # From back to front: legs, abdomen, head, marks.
    _paint_legs(canvas, pose, spider, dark, rng)
    width, length = spider.abdomen
    abdomen = pose.within(width, length, (0.0, _HEAD[1] + 0.14 + length))
    canvas.polygon(abdomen.place(superellipse(spider.taper, spider.exponent)), coat)
    canvas.polygon(pose.within(0.18, 0.22, _HEAD).place(superellipse(0.1, 2.0)), dark)
    _paint_marks(canvas, abdomen, spider.marks, coat, rng)


def spider_image(kind: int, index: int, *, size: int, seed: int) -> Image.Image:
    """Draw spider number `index` of a kind; equal arguments give equal pixels.

    Args:
        kind: index of `SPIDERS`.
        index: its number.
        size: width and height, in pixels.
        seed: of all spiders.

    Returns:
        An RGB picture.

    Raises:
        ValueError: if there is no such kind.
    """
    if not 0 <= kind < len(SPIDERS):
        raise ValueError(f"unknown spider kind {kind}: expected 0 to {len(SPIDERS) - 1}")
    spider = _SPIDER_TABLE[kind]
    rng = np.random.default_rng([_SPIDER_DOMAIN, seed, kind, index])
    return scene(lambda canvas, generator: _paint_spider(spider, canvas, generator), size=size, rng=rng)
