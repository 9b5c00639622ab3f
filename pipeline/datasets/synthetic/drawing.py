"""Drawing primitives: a supersampled canvas, poses, outlines, marks, limbs, and the noise and light of a photograph.

All randomness comes from the generator in the arguments, so a drawing is a pure function of its seed. Coordinates are
those of the canvas: x to the right and y downwards, both from -1 to 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]
Color = tuple[int, int, int]
Shapes = tuple[Points, ...]

# Averaging of 2 x 2 pixels removes the worst aliasing; more would slow the collection down.
_SUPERSAMPLING = 2

_GROUNDS: tuple[Color, ...] = (
    (196, 180, 150),
    (150, 168, 120),
    (110, 128, 100),
    (170, 178, 186),
    (206, 198, 186),
    (128, 108, 88),
    (92, 104, 116),
    (186, 160, 136),
)
_FOLIAGE: tuple[Color, ...] = ((92, 128, 62), (128, 150, 74), (150, 122, 66), (104, 92, 58), (168, 150, 92))


def _circle(corners: int) -> Points:
    angles = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([np.sin(angles), -np.cos(angles)], axis=1)


_UNIT_CIRCLE = _circle(20)
_SMALL_CIRCLE = _circle(10)


@dataclass(frozen=True)
class Pose:
    """An affine placement of a figure's own coordinates on the canvas."""

    matrix: Points
    offset: Points

    @property
    def scale(self) -> float:
        """Mean magnification, which also applies to the widths of strokes."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    def place(self, points: Points) -> Points:
        """Map points of the figure to points of the canvas."""
        return points @ self.matrix.T + self.offset

    def within(self, half_width: float, half_length: float, center: tuple[float, float]) -> "Pose":
        """Return the pose of a part: a unit disc with half axes and a center in the figure's coordinates."""
        return Pose(self.matrix * np.array([half_width, half_length]), self.place(np.array(center)))


def random_pose(rng: np.random.Generator, *, scale: tuple[float, float], turn: float, drift: float) -> Pose:
    """Return a random pose: rotation by at most `turn` radians, scale, slight change of aspect, shift by `drift`."""
    angle = rng.uniform(-turn, turn)
    size = rng.uniform(*scale)
    aspect = rng.uniform(0.88, 1.14)
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    # Width and height change inversely, so the aspect keeps the area.
    return Pose(rotation * np.array([size * aspect, size / aspect]), rng.uniform(-drift, drift, 2))


class Canvas:
    """A supersampled picture on which polygons and strokes are drawn in canvas coordinates."""

    def __init__(self, ground: Image.Image) -> None:
        """Draw on `ground`, a picture that is already supersampled."""
        self._draw = ImageDraw.Draw(ground)
        self._half = ground.width / 2

    def polygon(self, points: Points, color: Color) -> None:
        """Fill a polygon."""
        self._draw.polygon(((points + 1) * self._half).ravel().tolist(), fill=color)

    def stroke(self, points: Points, width: float, color: Color) -> None:
        """Draw a polyline, at least one supersampled pixel wide."""
        pixels = max(1, round(width * self._half))
        self._draw.line(((points + 1) * self._half).ravel().tolist(), fill=color, width=pixels, joint="curve")


def superellipse(taper: float, exponent: float) -> Points:
    """Return an outline in the unit square: exponent 1 is a diamond, 2 an ellipse; taper widens the lower end."""
    points: Points = np.sign(_UNIT_CIRCLE) * np.abs(_UNIT_CIRCLE) ** (2 / exponent)
    points[:, 0] *= 1 + taper * points[:, 1]
    return points


def spot(x: float, y: float, radius: float) -> Points:
    """Return the outline of a round spot."""
    points: Points = _SMALL_CIRCLE * radius + np.array([x, y])
    return points


def bar(start: tuple[float, float], end: tuple[float, float], width: float) -> Points:
    """Return the outline of a straight bar."""
    first, last = np.array(start), np.array(end)
    # Unit vector along the bar, and half of its width across.
    along = (last - first) / np.hypot(*(last - first))
    side = np.array([-along[1], along[0]]) * width / 2
    return np.stack([first + side, last + side, last - side, first - side])


def blend(first: Color, second: Color, share: float) -> Color:
    """Return a mix of two colors, with `share` in 0..1 of the second."""
    mixed = [round(a + (b - a) * share) for a, b in zip(first, second, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def vary(color: Color, rng: np.random.Generator, spread: float) -> Color:
    """Return a color with random changes, large in brightness and small in hue."""
    shifted = np.array(color) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    red, green, blue = np.clip(shifted, 0, 255).astype(int).tolist()
    return red, green, blue


def choose(colors: Sequence[Color], rng: np.random.Generator) -> Color:
    """Return a random color of a table."""
    return colors[int(rng.integers(len(colors)))]


def limb(root: Points, angle: float, length: float, bend: float) -> Points:
    """Return the four joints of a limb from `root` at `angle` (0 is up, clockwise, radians), bent by `bend` twice."""
    # Directions of the three segments; the second joint bends slightly less than the first.
    angles = angle + bend * np.array([0.0, 1.0, 1.9])
    steps = np.array([0.34, 0.4, 0.26]) * length
    offsets = np.stack([np.sin(angles) * steps, -np.cos(angles) * steps], axis=1)
    return np.vstack([root, root + np.cumsum(offsets, axis=0)])


def _draw_leaf(canvas: Canvas, rng: np.random.Generator) -> None:
    color = vary(choose(_FOLIAGE, rng), rng, 18)
    pose = random_pose(rng, scale=(0.2, 0.5), turn=np.pi, drift=1.0)
    outline = superellipse(rng.uniform(-0.3, 0.3), 1.4) * np.array([rng.uniform(0.3, 0.5), 1.0])
    canvas.polygon(pose.place(outline), color)
    canvas.stroke(pose.place(np.array([[0.0, -0.9], [0.0, 1.2]])), 0.02, blend(color, (235, 235, 200), 0.35))


def _draw_twig(canvas: Canvas, rng: np.random.Generator) -> None:
    pose = random_pose(rng, scale=(0.3, 0.9), turn=np.pi, drift=1.0)
    joints = np.array([[0.0, -1.0], [rng.uniform(-0.2, 0.2), 0.0], [0.0, 1.0]])
    canvas.stroke(pose.place(joints), rng.uniform(0.02, 0.07), vary(choose(_FOLIAGE, rng), rng, 22))


def _draw_blob(canvas: Canvas, rng: np.random.Generator) -> None:
    pose = random_pose(rng, scale=(0.06, 0.22), turn=np.pi, drift=1.0)
    canvas.polygon(pose.place(_UNIT_CIRCLE), vary(choose(_GROUNDS, rng), rng, 25))


def _draw_web(canvas: Canvas, rng: np.random.Generator) -> None:
    # The hub is near the middle, where the subject is, which then seems to sit in its web.
    color = vary((214, 218, 220), rng, 15)
    hub = rng.uniform(-0.5, 0.5, 2)
    spokes = _circle(int(rng.integers(7, 11))) @ random_pose(rng, scale=(1, 1), turn=1, drift=0).matrix.T
    for spoke in spokes:
        canvas.stroke(np.stack([hub, hub + 2.5 * spoke]), 0.0, color)
    for radius in np.arange(1, 6) * rng.uniform(0.16, 0.28):
        canvas.stroke(hub + radius * np.vstack([spokes, spokes[:1]]), 0.0, color)


_CLUTTER: tuple[Callable[[Canvas, np.random.Generator], None], ...] = (_draw_leaf, _draw_twig, _draw_blob)


def _scatter(canvas: Canvas, rng: np.random.Generator, count: int) -> None:
    for which in rng.integers(len(_CLUTTER), size=count):
        _CLUTTER[which](canvas, rng)


def _ground(size: int, rng: np.random.Generator) -> Image.Image:
    """Return a background out of focus: a few random cells, enlarged smoothly."""
    base = np.array(vary(choose(_GROUNDS, rng), rng, 20))
    cells = int(rng.integers(2, 7))
    patches = base + rng.normal(0, 16, (cells, cells, 1)) + rng.normal(0, 6, (cells, cells, 3))
    small = Image.fromarray(np.clip(patches, 0, 255).astype(np.uint8))
    return small.resize((size, size), Image.Resampling.BICUBIC)


def _light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a picture with random brightness, a gradient across it, a color cast and sensor noise."""
    pixels = np.asarray(image, dtype=np.float32)
    ramp = np.linspace(-1, 1, image.width, dtype=np.float32)
    slope = rng.uniform(-0.28, 0.28, 2)
    gain = rng.uniform(0.65, 1.2) + np.float32(slope[0]) * ramp[:, None] + np.float32(slope[1]) * ramp[None, :]
    cast = rng.uniform(0.86, 1.12, 3).astype(np.float32)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(2, 11))
    lit = pixels * gain.astype(np.float32)[:, :, None] * cast + noise
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def scene(paint: Callable[[Canvas, np.random.Generator], None], *, size: int, rng: np.random.Generator) -> Image.Image:
    """Draw a subject in a cluttered, unevenly lit picture that may hide parts of it.

    Args:
        paint: draws the subject on a canvas.
        size: width and height of the picture, in pixels.
        rng: the only source of randomness.

    Returns:
        An RGB picture.
    """
    ground = _ground(size * _SUPERSAMPLING, rng)
    canvas = Canvas(ground)
    _scatter(canvas, rng, int(rng.integers(1, 6)))
    if rng.random() < 0.4:
        _draw_web(canvas, rng)
    paint(canvas, rng)
    _scatter(canvas, rng, int(rng.integers(0, 2)))
    return _light(ground.reduce(_SUPERSAMPLING), rng)
