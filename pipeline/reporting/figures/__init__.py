"""Figures as bytes, the same for the same input: SVG for charts, PNG for photographs.

Every figure is drawn on matplotlib's objects without pyplot, so nothing global stays behind. A theme gives it
the colors of a light or a dark screen. Text stays text in an SVG: a reader's own fonts write the names that
matplotlib's font has no letters for.
"""

# Before any module that imports matplotlib.
import pipeline.reporting.figures.fonts_folder  # noqa: F401
from pipeline.reporting.figures.asking import risk_coverage
from pipeline.reporting.figures.bars import SHOWN_BARS, class_bars, count_bars, stage_bars
from pipeline.reporting.figures.confusion import NUMBERED_CLASSES, confusion_matrix
from pipeline.reporting.figures.curves import NO_STARTS, accuracy_curves, loss_curves, methods
from pipeline.reporting.figures.drawing import DARK, LIGHT, PNG, Theme, shortened, wrapped
from pipeline.reporting.figures.photographs import (
    ImageArray,
    Shown,
    caption,
    explained,
    feature_maps,
    image_grid,
    middle,
    overlay,
)
from pipeline.reporting.figures.reliability import reliability_diagram, reliability_diagrams
from pipeline.reporting.figures.values import channel_weights, value_distributions

__all__ = [
    "DARK",
    "LIGHT",
    "NO_STARTS",
    "NUMBERED_CLASSES",
    "PNG",
    "SHOWN_BARS",
    "ImageArray",
    "Shown",
    "Theme",
    "accuracy_curves",
    "caption",
    "channel_weights",
    "class_bars",
    "confusion_matrix",
    "count_bars",
    "explained",
    "feature_maps",
    "image_grid",
    "loss_curves",
    "methods",
    "middle",
    "overlay",
    "reliability_diagram",
    "reliability_diagrams",
    "risk_coverage",
    "shortened",
    "stage_bars",
    "value_distributions",
    "wrapped",
]
