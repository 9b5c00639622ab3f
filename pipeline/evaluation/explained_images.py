"""Explanations of a few test images, selected by fixed rules, as files for the report."""

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
# Arrays by name, and their description.
Explanations = tuple[dict[str, NDArray[Any]], dict[str, Any]]
# Number of explained wrong predictions, and of right ones.
EXPLAINED = 4


def select(predictions: Sequence[Mapping[str, Any]]) -> list[int]:
    """Select predictions to explain: the most confident wrong ones, then right ones of median confidence.

    The right ones have different classes; of more than four classes, some at equal distances in the order of their
    names.

    Args:
        predictions: rows of predictions.csv.

    Returns:
        Indices of the rows, wrong predictions first; at most four of each kind.
    """

    def order(place: int) -> tuple[float, str]:
        # The path decides between equal confidences, so that the order is the same everywhere.
        return -float(predictions[place]["confidence"]), str(predictions[place]["path"])

    wrong = sorted((place for place, row in enumerate(predictions) if not row["correct"]), key=order)
    right: dict[str, list[int]] = {}
    for place in sorted((place for place, row in enumerate(predictions) if row["correct"]), key=order):
        right.setdefault(str(predictions[place]["actual"]), []).append(place)
    # One of each class in the middle of its confidences: neither a showcase nor an outlier.
    typical = [right[name][(len(right[name]) - 1) // 2] for name in sorted(right)]
    return wrong[:EXPLAINED] + typical[:: max(1, -(-len(typical) // EXPLAINED))]


def explain(
    network: Network, images: Tensor, rows: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> Explanations:
    """Return every kind of map that the network has, for these images.

    Args:
        network: the trained network.
        images: (n, 3, S, S), normalized, on the network's device.
        rows: their predictions.
        classes: the K names.

    Returns:
        Arrays by name, and their description. `grad_cam`, `layer_cam` and, for the head `conv1x1`, `class_maps` are of
        the predicted class, `grad_cam_actual` of the actual one: (n, h, w) in 0..255, each map scaled from its minimum
        to its maximum. `attention.*` are the weights of the last attention module: of channels (n, C) unscaled, of
        positions (n, h, w) in 0..255, of both as the mean over the channels. `features.*` are the maps of one wrong
        and one right image by stage, (1 or 2, 1 + k, h, w).
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
    examples = _one_of_each(rows)
    arrays: dict[str, NDArray[Any]] = {name: explanations.scaled(one) for name, one in (maps | positions).items()}
    arrays |= channels
    arrays |= {f"features.{stage}": one for stage, one in explanations.features(network, images[examples]).items()}
    described = {
        "images": [dict(row) for row in rows],
        "layers": explanations.layers(network, images.shape[-1])._asdict(),
        "attention": network.inserted[-1] if network.inserted else "",
        "features": examples,
    }
    return arrays, described


def _positions(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    # (n, C, h, w) or (n, h, w) to (n, h, w).
    return weights.mean(axis=1) if weights.ndim == 4 else weights


def _one_of_each(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the indices of the first wrong and the first right row, as far as they exist."""
    kinds = [bool(row["correct"]) for row in rows]
    return sorted(kinds.index(kind) for kind in set(kinds))


def write(folder: Path, explained: Explanations) -> None:
    """Write the arrays to pictures.npz and their description to pictures.json."""
    arrays, described = explained
    np.savez_compressed(folder / "pictures.npz", allow_pickle=False, **arrays)
    write_json(folder / "pictures.json", described)
