"""The material for pictures of one repeat: first values, class activation and feature maps."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.reporting.figures import ImageArray, Shown, overlay

# Maps that are laid over an image, by their names in pictures.npz.
OVERLAYS = {
    "grad_cam": "Grad-CAM, predicted class",
    "grad_cam_actual": "Grad-CAM, actual class",
    "layer_cam": "LayerCAM, predicted class",
    "class_maps": "the head's own map, predicted class",
}
OF_PREDICTED = {"grad_cam": "Grad-CAM", "layer_cam": "LayerCAM", "class_maps": "the head's own map"}
# Median correlation above which maps are said to be the same.
ALIKE = 0.8
DARK = (
    " A map that is dark everywhere has one value in all places, of Grad-CAM mostly zero: no place adds to the score."
)
ATTENTION = "attention."
FEATURES = "features."


class Explanations(NamedTuple):
    """One repeat's files as read, and the images that they are of.

    Attributes:
        repeat: its number.
        values: values.json.
        described: pictures.json.
        arrays: pictures.npz by name.
        images: the images of `described`, as the network is shown them.
    """

    repeat: int
    values: Mapping[str, Mapping[str, list[float]]]
    described: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    images: Sequence[Shown]


class Overlaid(NamedTuple):
    """A map over an image: what it is called, and the pixels (3, S, S)."""

    name: str
    image: ImageArray


def overlays(explanations: Explanations) -> list[tuple[Shown, list[Overlaid]]]:
    """Return each image with its maps; the actual class has one of its own where another was predicted."""
    return [(shown, list(_overlays(explanations, place))) for place, shown in enumerate(explanations.images)]


def _overlays(explanations: Explanations, place: int) -> Iterator[Overlaid]:
    shown = explanations.images[place]
    wrong = shown.example.actual != shown.example.predicted
    for key, name in OVERLAYS.items():
        if key in explanations.arrays and (wrong or key != "grad_cam_actual"):
            yield Overlaid(name, overlay(shown.image, explanations.arrays[key][place]))
    for key, maps in positions(explanations).items():
        yield Overlaid(f"attention, {key}", overlay(shown.image, maps[place]))


def maps(layers: Mapping[str, str], sizes: Mapping[str, str], attention: str, *, own: bool) -> str:
    """Return what the maps over the images are, and where they are taken.

    Args:
        layers: the `last` one and the `finer` one; both are the stage before the last in a network of tokens.
        sizes: how many places the maps behind either have.
        attention: what has maps of its own; empty without such.
        own: whether the head has class maps.

    >>> places = {"last": "3 × 3", "finer": "6 × 6"}
    >>> print(maps({"last": "bn2", "finer": "conv"}, places, "", own=False).split(": ")[1])  # doctest: +ELLIPSIS
    Grad-CAM behind bn2, the end of the last stage (3 × 3 places, enlarged to the image), LayerCAM behind conv, ...
    """
    stages = {"last": "the end of the last stage", "finer": "the end of the stage before"}
    if layers["last"] == layers["finer"]:
        stages["last"] = stages["finer"] = "the end of the stage before the last"
    text = (
        "The brighter, the more the place adds to the score of the class: "
        f"Grad-CAM behind {layers['last']}, {stages['last']} ({sizes['last']} places, enlarged to the image), "
        f"LayerCAM behind {layers['finer']}, {stages['finer']} ({sizes['finer']})"
    )
    text += ", and the map that the head averages to the score" if own else ""
    return f"{text}. Attention is of {attention}, from its least to its largest weight." if attention else f"{text}."


def darkness(explanations: Explanations) -> str:
    """Return what a map that is dark everywhere means, as a sentence to add; "" where none is."""
    maps = [explanations.arrays[key] for key in OVERLAYS if key in explanations.arrays]
    dark = any(not one.any(axis=(-2, -1)).all() for one in maps)
    return DARK if dark else ""


def sameness(explanations: Explanations) -> str:
    """Return which maps hardly differ from image to image, as a sentence to add; "" where none is so."""
    alike = {
        name: _alikeness(explanations.arrays[key]) for key, name in OF_PREDICTED.items() if key in explanations.arrays
    }
    same = [f"{name} {value:.2f}" for name, value in alike.items() if value > ALIKE]
    if not same:
        return ""
    listed = ", ".join(same)
    return (
        f" These maps are nearly the same for all images shown, so they say little about any of them: {listed} (median "
        "correlation between the maps of two images)."
    )


def _alikeness(maps: npt.NDArray[Any]) -> float:
    """Return the median correlation of the maps (n, h, w) of two images; 0 where no two have more than one value."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    varied = flat[flat.std(axis=1) > 0]
    if len(varied) < 2:
        return 0.0
    return float(np.median(np.corrcoef(varied)[np.triu_indices(len(varied), k=1)]))


def places(explanations: Explanations) -> dict[str, str]:
    """Return how many places the maps of the last layer and of the finer one have."""
    arrays = {"last": "grad_cam", "finer": "layer_cam"}
    return {layer: " × ".join(map(str, explanations.arrays[name].shape[1:])) for layer, name in arrays.items()}


def positions(explanations: Explanations) -> dict[str, ImageArray]:
    """Return the attention's own maps over positions, (n, h, w), by their names in the module."""
    return {name: maps for name, maps in _arrays(explanations, ATTENTION).items() if maps.ndim == 3}


def channels(explanations: Explanations) -> dict[str, npt.NDArray[np.float32]]:
    """Return the attention's own weights of channels, (n, C), by their names in the module."""
    return {name: maps for name, maps in _arrays(explanations, ATTENTION).items() if maps.ndim == 2}


def _arrays(explanations: Explanations, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in explanations.arrays.items() if name.startswith(prefix)}


def features(explanations: Explanations) -> list[tuple[Shown, dict[str, ImageArray]]]:
    """Return each image whose feature maps were kept, with (1 + k, h, w) a stage."""
    stages = _arrays(explanations, FEATURES)
    kept = explanations.described["features"]
    return [
        (explanations.images[place], {stage: maps[number] for stage, maps in stages.items()})
        for number, place in enumerate(kept)
    ]


def sizes(explanations: Explanations) -> dict[str, str]:
    """Return each stage's resolution as it is shown."""
    stages = _arrays(explanations, FEATURES)
    return {stage: f"{maps.shape[2]} × {maps.shape[3]}" for stage, maps in stages.items()}
