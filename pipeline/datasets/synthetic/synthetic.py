"""Synthetic pictures: nine kinds of spiders to adapt to, and other figures to pre-train on.

The spiders differ in the proportions of their legs, the outline of the body and the marks on the abdomen; some pairs
differ only in the symmetry of the marks. The figures of the source set combine other outlines, limbs and marks, so
that a network learns features from them (edges, strokes, marks) that transfer to spiders, without any spider.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

from pipeline.datasets.synthetic.drawing import (
    Canvas,
    Color,
    Points,
    Pose,
    Shapes,
    bar,
    blend,
    choose,
    limb,
    random_pose,
    scene,
    spot,
    star,
    superellipse,
    vary,
)

# First part of each seed: spiders and source figures never share a random stream.
_SPIDER_DOMAIN = 1
_SOURCE_DOMAIN = 2

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


@dataclass(frozen=True)
class _Limbs:
    """Limbs around a source figure: directions in radians, and their common length and width."""

    angles: tuple[float, ...]
    length: float
    width: float


_SOURCE_OUTLINES: tuple[Points, ...] = (
    star(3, 0.62) * np.array([0.62, 0.62]),
    star(5, 0.5) * np.array([0.6, 0.6]),
    superellipse(0.0, 6.0) * np.array([0.44, 0.5]),
    superellipse(0.0, 1.0) * np.array([0.5, 0.66]),
)
_SOURCE_MARKS: tuple[Shapes, ...] = (
    tuple(spot(x, y, 0.18) for x, y in ((0, -0.5), (-0.42, 0.1), (0.42, 0.1), (0, 0.55))),
    tuple(bar((-0.6, y), (0.6, y), 0.2) for y in (-0.4, 0.0, 0.4)),
    tuple(bar((-0.6, y), (0.0, y), 0.2) for y in (-0.4, 0.0, 0.4)),
    (bar((-0.6, -0.3), (0.0, 0.4), 0.22), bar((0.6, -0.3), (0.0, 0.4), 0.22), spot(0.0, -0.35, 0.2)),
)
_SOURCE_LIMBS: tuple[_Limbs, ...] = (
    _Limbs((0.9, 2.2, -0.9, -2.2), 0.75, 0.05),
    _Limbs((0.5, 1.57, 2.6, -0.5, -1.57, -2.6), 0.45, 0.1),
)

# Every combination is a class, so no single trait identifies one: a network has to learn them all.
_SOURCE_TABLE = tuple(product(_SOURCE_OUTLINES, _SOURCE_MARKS, _SOURCE_LIMBS))

SOURCE_CLASSES: int = len(_SOURCE_TABLE)


def _check(kind: int, kinds: int, domain: str) -> None:
    if not 0 <= kind < kinds:
        raise ValueError(f"unknown {domain} kind {kind}: expected 0 to {kinds - 1}")


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


def _paint_limbs(canvas: Canvas, pose: Pose, limbs: _Limbs, color: Color, rng: np.random.Generator) -> None:
    for angle in limbs.angles:
        root = np.array([np.sin(angle), -np.cos(angle)]) * 0.25
        length = limbs.length * rng.normal(1, 0.06)
        joints = limb(root, angle + rng.normal(0, 0.12), length, rng.normal(0, 0.35))
        canvas.stroke(pose.place(joints), limbs.width * pose.scale, color)


def _paint_source(kind: int, canvas: Canvas, rng: np.random.Generator) -> None:
    outline, marks, limbs = _SOURCE_TABLE[kind]
    pose = random_pose(rng, scale=(0.85, 1.1), turn=_TURN, drift=_DRIFT)
    coat = vary(choose(_COATS, rng), rng, 14)
    dark = blend(coat, (0, 0, 0), rng.uniform(0.15, 0.4))
    _paint_limbs(canvas, pose, limbs, dark, rng)
    canvas.polygon(pose.place(outline), coat)
    _paint_marks(canvas, pose.within(0.42, 0.42, (0.0, 0.0)), marks, coat, rng)


def draw_spider(kind: int, *, size: int, rng: np.random.Generator) -> Image.Image:
    """Draw a spider of one kind.

    Args:
        kind: index of `SPIDERS`.
        size: width and height, in pixels.
        rng: the only source of randomness; it is advanced.

    Returns:
        An RGB picture.

    Raises:
        ValueError: if there is no such kind.
    """
    _check(kind, len(SPIDERS), "spider")
    spider = _SPIDER_TABLE[kind]
    return scene(lambda canvas, generator: _paint_spider(spider, canvas, generator), size=size, rng=rng)


def draw_source(kind: int, *, size: int, rng: np.random.Generator) -> Image.Image:
    """Draw a figure of the source set, which has no spiders.

    Args:
        kind: from 0 to `SOURCE_CLASSES - 1`.
        size: width and height, in pixels.
        rng: the only source of randomness; it is advanced.

    Returns:
        An RGB picture.

    Raises:
        ValueError: if there is no such kind.
    """
    _check(kind, SOURCE_CLASSES, "source")
    return scene(lambda canvas, generator: _paint_source(kind, canvas, generator), size=size, rng=rng)


def spider_image(kind: int, index: int, *, size: int, seed: int) -> Image.Image:
    """Draw spider number `index` of a kind; equal arguments give equal pixels."""
    _check(kind, len(SPIDERS), "spider")
    return draw_spider(kind, size=size, rng=np.random.default_rng([_SPIDER_DOMAIN, seed, kind, index]))


def source_image(kind: int, index: int, *, size: int, seed: int) -> Image.Image:
    """Draw source figure number `index` of a kind; equal arguments give equal pixels."""
    _check(kind, SOURCE_CLASSES, "source")
    return draw_source(kind, size=size, rng=np.random.default_rng([_SOURCE_DOMAIN, seed, kind, index]))
