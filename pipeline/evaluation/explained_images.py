"""The material of `evaluate` for pictures: a few test images by fixed rules, explained by the trained network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.files import write_json
from pipeline.evaluation import explanations
from pipeline.networks.network import Network

ByteArray = NDArray[np.uint8]
# Arrays by name, and a description of them.
Explanations = tuple[dict[str, NDArray[Any]], dict[str, Any]]
# So many wrong predictions are explained, and so many right ones.
EXPLAINED = 4


def chosen(predictions: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return which predictions are explained: the most confident wrong ones, then right ones of median confidence.

    The right ones are each of another class; where there are more classes, they lie at equal distances in the order of
    the classes' names.

    Args:
        predictions: rows of predictions.csv.

    Returns:
        Their places, the wrong ones first; at most four of each kind.
    """

    def order(place: int) -> tuple[float, str]:
        return -float(predictions[place]["confidence"]), str(predictions[place]["path"])

    wrong = sorted((place for place, row in enumerate(predictions) if not row["correct"]), key=order)
    right: dict[str, list[int]] = {}
    for place in sorted((place for place, row in enumerate(predictions) if row["correct"]), key=order):
        right.setdefault(str(predictions[place]["actual"]), []).append(place)
    typical = [right[name][(len(right[name]) - 1) // 2] for name in sorted(right)]
    return wrong[:EXPLAINED] + typical[:: max(1, -(-len(typical) // EXPLAINED))]


def explain(
    network: Network, images: Tensor, rows: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> Explanations:
    """Return every kind of map that this network has, of these images.

    Args:
        network: as trained.
        images: (n, 3, S, S), normalized, on the network's device.
        rows: their predictions.
        classes: the K names.

    Returns:
        Arrays by name, and a description of them. `grad_cam`, `layer_cam` and, for the head `conv1x1`, `class_maps`
        are of the predicted class, `grad_cam_actual` of the actual one: (n, h, w), 0..255, each map from its smallest
        to its largest value. `attention.*` is what the last attention module weighs with: channels (n, C) as they are,
        positions (n, h, w) as 0..255, channels and positions by their mean over the channels. `features.*` are a
        wrong and a right image's maps by stage, (1 or 2, 1 + k, h, w).
    """
    number = {name: place for place, name in enumerate(classes)}
    predicted, actual = ([number[str(row[key])] for row in rows] for key in ("predicted", "actual"))
    maps = explanations.class_activation(network, images, predicted)
    maps["grad_cam_actual"] = explanations.class_activation(network, images, actual)["grad_cam"]
    own = explanations.class_maps(network, images, predicted)
    maps |= {} if own is None else {"class_maps": own}
    attention = explanations.attention(network, images)
    positions = {f"attention.{name}": _positions(weights) for name, weights in attention.items() if weights.ndim > 2}
    channels = {f"attention.{name}": weights for name, weights in attention.items() if weights.ndim == 2}
    shown = _one_of_each(rows)
    scaled = {name: explanations.scaled(one) for name, one in (maps | positions).items()}
    arrays: dict[str, NDArray[Any]] = {**scaled, **channels}
    arrays |= {f"features.{stage}": weights for stage, weights in explanations.features(network, images[shown]).items()}
    described = {
        "images": [dict(row) for row in rows],
        "layers": explanations.layers(network, images.shape[-1])._asdict(),
        "attention": network.inserted[-1] if network.inserted else "",
        "features": shown,
    }
    return arrays, described


def _positions(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return weights.mean(axis=1) if weights.ndim == 4 else weights


def _one_of_each(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the first wrong and the first right one, as far as there are such."""
    kinds = [bool(row["correct"]) for row in rows]
    return sorted(kinds.index(kind) for kind in set(kinds))


def write(folder: Path, explained: Explanations) -> None:
    """Write pictures.npz, the arrays, and pictures.json, their description."""
    arrays, described = explained
    np.savez_compressed(folder / "pictures.npz", allow_pickle=False, **arrays)
    write_json(folder / "pictures.json", described)
