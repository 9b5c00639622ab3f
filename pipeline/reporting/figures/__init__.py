"""Figures as bytes, the same for the same input: SVG for charts, PNG for photographs.

Every figure is drawn on matplotlib's objects without pyplot, so nothing global stays behind. A theme gives it
the colours of a light or a dark screen. Text stays text in an SVG: a reader's own fonts write the names that
matplotlib's font has no letters for.
"""

from pipeline.reporting.figures.bars import class_bars
from pipeline.reporting.figures.confusion import confusion_matrix
from pipeline.reporting.figures.curves import NO_STARTS, accuracy_curves, loss_curves
from pipeline.reporting.figures.drawing import DARK, LIGHT, Theme, shortened
from pipeline.reporting.figures.photographs import ImageArray, Shown, caption, gallery

__all__ = [
    "DARK",
    "LIGHT",
    "NO_STARTS",
    "ImageArray",
    "Shown",
    "Theme",
    "accuracy_curves",
    "caption",
    "class_bars",
    "confusion_matrix",
    "gallery",
    "loss_curves",
    "shortened",
]
