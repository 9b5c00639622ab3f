"""The charts of a report, each for light and for dark screens, as PNG, and in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pipeline.core import progress
from pipeline.core.records import Counted
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.predictions import BINS, Bin
from pipeline.reporting import aggregate, calibration, curves, explained, figures, tables
from pipeline.reporting.curves import Curve
from pipeline.reporting.explained import Explanations
from pipeline.reporting.figures import DARK, LIGHT, PNG, Shown, Theme
from pipeline.reporting.material import Material

# Of more classes than the first, a part of the confusion matrix is drawn apart: at most the second's number of them.
WHOLE_MATRIX = 40
ZOOMED = 20
LOSSES = {"train_loss": "Training", "val_loss": "Validation"}
ACCURACIES = {"train_accuracy": "Training", "val_accuracy": "validation"}
VALUES = {"start": "at the start", "trained": "after training", "random": "random, without pre-training"}


class Picture(NamedTuple):
    """A chart as SVG for light and for dark screens, as PNG, and what it shows in words."""

    light: bytes
    dark: bytes
    png: bytes
    alt: str


class FeatureMaps(NamedTuple):
    """An image's feature maps by depth, PNG for light and for dark screens."""

    shown: Shown
    light: bytes
    dark: bytes

    @property
    def name(self) -> str:
        """Name of their file in the report."""
        kind = "right" if self.shown.example.actual == self.shown.example.predicted else "wrong"
        return f"features_{kind}"


def pictures(material: Material, explanations: Explanations) -> dict[str, Picture]:
    """Draw the charts, by name: images per class, curves, confusion, classes, calibration and the network's inside."""
    repeats, counts = material.repeats, material.class_images
    charts = (
        {"counts": (partial(figures.count_bars, counts), counts_alt(counts))}
        # Where nothing trains, the points after its one epoch say no more than the scores do.
        | ({} if aggregate.is_probe(repeats) else dict(_courses(repeats)))
        | dict(_errors(repeats))
        | dict(_inside(repeats, explanations))
    )
    pictures = {}
    with progress.bar(len(charts), "report: charts", "charts") as shown:
        for name, (draw, alt) in charts.items():
            pictures[name] = picture(draw, alt)
            shown.update()
    return pictures


def photographs(material: Material, explanations: Explanations) -> dict[str, bytes]:
    """Draw examples and maps over images, as PNG by name."""
    drawn = {
        name: figures.image_grid(some)
        for name, some in {"right": material.right, "wrong": material.wrong}.items()
        if some
    }
    rows = [(shown, {one.name: one.image for one in maps}) for shown, maps in explained.overlays(explanations)]
    drawn |= {"explained": figures.explained(rows)}
    return drawn


def feature_maps(explanations: Explanations) -> list[FeatureMaps]:
    """Return the feature maps by depth of a wrong and of a right prediction, as far as there are such."""
    sizes = explained.sizes(explanations)
    return [
        FeatureMaps(shown, *(figures.feature_maps(shown.image, stages, sizes, theme) for theme in (LIGHT, DARK)))
        for shown, stages in explained.features(explanations)
    ]


Chart = tuple[str, tuple[Callable[..., bytes], str]]


def _courses(repeats: Sequence[Repeat]) -> Iterator[Chart]:
    series, record = curves.curves(repeats), repeats[0].record
    unit, starts = curves.unit(record), curves.phase_starts(record)
    tested = aggregate.score_spreads(repeats)["accuracy"].mean
    phases = _phases_alt(starts, unit)
    loss = partial(figures.loss_curves, series, unit=unit, starts=starts)
    yield "loss", (loss, _loss_alt(series, unit) + phases)
    accuracy = partial(figures.accuracy_curves, series, tested, unit=unit, starts=starts)
    yield "accuracy", (accuracy, _accuracy_alt(series, tested, unit) + phases)


def _errors(repeats: Sequence[Repeat]) -> Iterator[Chart]:
    matrix, names, scores = aggregate.pooled_confusion(repeats), repeats[0].classes, aggregate.class_scores(repeats)
    yield "confusion", (partial(figures.confusion_matrix, matrix, names), _confusion_alt(matrix, names))
    zoomed = aggregate.most_confused(matrix, ZOOMED) if len(names) > WHOLE_MATRIX else []
    if zoomed:
        part, some = matrix[zoomed][:, zoomed], [names[place] for place in zoomed]
        yield "confused", (partial(figures.confusion_matrix, part, some), _confused_alt(some))
    yield "classes", (partial(figures.class_bars, scores), _bars_alt(scores))
    bins = calibration.of(repeats)
    yield "reliability", (partial(figures.reliability_diagram, bins), _reliability_alt(bins))


def _inside(repeats: Sequence[Repeat], explanations: Explanations) -> Iterator[Chart]:
    stages, trains = repeats[0].record.stages, aggregate.trains(repeats)
    yield "stages", (partial(figures.stage_bars, stages, trains=trains), _stages_alt(stages, trains))
    yield "values", (partial(figures.value_distributions, explanations.values, VALUES), _values_alt(explanations))
    if weights := explained.channels(explanations):
        alt = f"How {explanations.described['attention']} weighs channels, the most first, by {', '.join(weights)}."
        yield "channels", (partial(figures.channel_weights, weights), alt)


def picture(draw: Callable[[Theme], bytes], alt: str) -> Picture:
    """Return a chart in every form that is kept of it."""
    return Picture(draw(LIGHT), draw(DARK), draw(PNG), alt)


def counts_alt(counts: Mapping[str, int]) -> str:
    """Return how many images the smallest and the largest class have."""
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] == counts[least]:
        return f"Images of each class: {counts[most]:,} of each of the {len(counts):,} classes."
    return f"Images of each class: from {counts[least]:,} of {least} to {counts[most]:,} of {most}."


def _loss_alt(series: Mapping[str, Curve], unit: str) -> str:
    parts = [f"{name}: {_loss_ends(series[key], unit)}." for key, name in LOSSES.items() if key in series]
    return f"Loss over the {unit}s. {' '.join(parts)}"


def _loss_ends(curve: Curve, unit: str) -> str:
    steps = [f"{step:,.0f}" for step in curve.steps(unit)]
    return f"{curve.mean[0]:.3g} after {unit} {steps[0]}, {curve.mean[-1]:.3g} after {steps[-1]}"


def _accuracy_alt(series: Mapping[str, Curve], tested: float, unit: str) -> str:
    last = {name: tables.percent(series[key].mean[-1]) for key, name in ACCURACIES.items() if key in series}
    parts = [f"{name}: {value} after the last {unit}; " for name, value in last.items()]
    return f"Accuracy over the {unit}s. {''.join(parts)}test part: {tables.percent(tested)}."


def _phases_alt(starts: Mapping[str, int], unit: str) -> str:
    return "".join(f" {phase.capitalize()} begins with {unit} {start:,}." for phase, start in starts.items())


def _confusion_alt(matrix: aggregate.IntArray, names: Sequence[str]) -> str:
    right, subject = int(matrix.trace()), f"Confusion matrix of {matrix.sum():,} test predictions"
    return f"{subject} of {len(names)} classes, {right:,} of them right. The table of confusions tells the largest."


def _bars_alt(scores: Sequence[aggregate.ClassScore]) -> str:
    judged = [one for one in scores if one.support]
    best, worst = (choose(judged, key=lambda one: one.f1.mean) for choose in (max, min))
    ends = (f"{one.name} {tables.percent(one.f1.mean)}" for one in (best, worst))
    return f"Bars of precision and recall for each class. F1 from best to worst: {' to '.join(ends)}."


def _confused_alt(names: Sequence[str]) -> str:
    return f"The part of the confusion matrix with the {len(names)} classes that are most often taken for another."


def _reliability_alt(bins: Sequence[Bin]) -> str:
    return f"Reliability diagram in {BINS} bins of confidence. What counts most: {calibration.most(bins)}."


def _stages_alt(stages: Mapping[str, Counted], trains: str) -> str:
    shares = (
        f"{name} {counted.trainable:,} of {counted.trainable + counted.frozen:,}" for name, counted in stages.items()
    )
    verb = {"trains": "train", "solved": "are solved"}[trains]
    return f"How many numbers of each stage {verb}: {', '.join(shares)}."


def _values_alt(explanations: Explanations) -> str:
    names = ", ".join(explanations.values)
    return f"Distribution of the values of {names}, at the start, after training and where nothing is pre-trained."
