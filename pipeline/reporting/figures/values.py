"""How the values of the first layers and the weights of attention are distributed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save

Distribution = Mapping[str, list[float]]


def value_distributions(
    distributions: Mapping[str, Distribution], labels: Mapping[str, str], theme: Theme = LIGHT
) -> bytes:
    """Draw a panel a tensor with the distribution of its values, at the start, after training and at random.

    Args:
        distributions: by the tensor's name `edges` and, for each key of `labels`, the part of the values in each bin.
        labels: what each is called; the first is filled, the others are lines.
        theme: the colors.

    Source:
        ECSM Figure 9.
    """
    with drawing(theme, 2.75 * len(distributions) + 0.4, 2.7) as (figure, out):
        panels = figure.subplots(1, len(distributions), squeeze=False)[0]
        for axes, (name, distribution) in zip(panels, distributions.items(), strict=True):
            _panel(axes, distribution, labels, theme)
            axes.set_title(name, fontsize="medium")
        panels[0].set_ylabel("part of the values (%)")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()


def _panel(axes: Axes, distribution: Distribution, labels: Mapping[str, str], theme: Theme) -> None:
    colors = (theme.first, theme.second, theme.ink)
    edges = distribution["edges"]
    for place, (key, label) in enumerate(labels.items()):
        if place == 0:
            filled: dict[str, Any] = {"facecolor": (colors[0], 0.4), "edgecolor": colors[0], "linewidth": 0.8}
            axes.stairs(distribution[key], edges, fill=True, label=label, **filled)
        else:
            axes.stairs(distribution[key], edges, color=colors[place], linestyle=("-", ":")[place - 1], label=label)
    axes.set(xlabel="value", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    axes.grid(axis="y")


def channel_weights(maps: Mapping[str, npt.NDArray[np.float32]], theme: Theme = LIGHT) -> bytes:
    """Draw how much attention weighs each channel, the largest first: the mean over images and its range.

    Args:
        maps: by the map's name (N, C) weights.
        theme: the colors.
    """
    with drawing(theme, 4.8, 3.1) as (figure, out):
        axes = figure.add_subplot()
        colors, lines = (theme.first, theme.second, theme.ink), ("-", "--", ":")
        for color, line, (name, weights) in zip(colors, lines, maps.items(), strict=False):
            order = np.argsort(-weights.mean(axis=0), kind="stable")
            ordered = weights[:, order]
            ranks = np.arange(1, weights.shape[1] + 1)
            axes.plot(ranks, ordered.mean(axis=0), line, color=color, label=name)
            axes.fill_between(
                ranks, ordered.min(axis=0), ordered.max(axis=0), color=color, alpha=0.25, linewidth=0, rasterized=True
            )
        axes.set(xlabel="channel, by its mean weight", ylabel="weight")
        axes.grid(axis="y")
        axes.legend(frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()
