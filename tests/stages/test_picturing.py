from typing import Any

import numpy as np
import torch

from pipeline.evaluation import explanations
from pipeline.evaluation.explained_images import EXPLAINED, explain, select, write
from pipeline.networks.build import Plan, build


def row(path: str, actual: str, predicted: str, confidence: float) -> dict[str, Any]:
    told = {"path": path, "actual": actual, "predicted": predicted, "confidence": confidence}
    return told | {"correct": int(actual == predicted)}


def test_the_most_confident_wrong_predictions_come_first_then_right_ones_of_median_confidence() -> None:
    rows = [
        row("1", "a", "a", 0.9),
        row("2", "a", "b", 0.5),
        row("3", "a", "a", 0.7),
        row("4", "b", "a", 0.8),
        row("5", "a", "a", 0.2),
        row("6", "b", "b", 0.6),
    ]
    assert [rows[place]["path"] for place in select(rows)] == ["4", "2", "3", "6"]


def test_of_equal_confidence_the_first_path_is_taken() -> None:
    rows = [row("z", "a", "b", 0.5), row("y", "a", "b", 0.5)]
    assert select(rows) == [1, 0]


def test_of_many_classes_some_at_equal_distances_are_shown() -> None:
    names = [f"{number:03}" for number in range(200)]
    rows = [row(name, name, name, 0.5) for name in names] + [row(f"{name}w", name, "x", 0.4) for name in names]
    found = [rows[place]["path"] for place in select(rows)]
    assert found == ["000w", "001w", "002w", "003w", "000", "050", "100", "150"]
    assert len(found) == 2 * EXPLAINED


def test_maps_are_of_the_predicted_class_and_one_of_the_actual() -> None:
    torch.manual_seed(0)
    network = build(Plan("resnet18", "conv1x1", 3, 64), pretrained=None)
    images = torch.randn(2, 3, 64, 64)
    arrays, described = explain(network, images, [row("1", "a", "c", 0.9), row("2", "b", "b", 0.7)], ["a", "b", "c"])
    predicted, actual = (explanations.class_activation(network, images, asked) for asked in ([2, 1], [0, 1]))
    assert np.array_equal(arrays["grad_cam"], explanations.scaled(predicted["grad_cam"]))
    assert np.array_equal(arrays["layer_cam"], explanations.scaled(predicted["layer_cam"]))
    assert np.array_equal(arrays["grad_cam_actual"], explanations.scaled(actual["grad_cam"]))
    assert [bool((arrays["grad_cam_actual"][n] == arrays["grad_cam"][n]).all()) for n in (0, 1)] == [False, True]
    own = explanations.class_maps(network, images, [2, 1])
    assert own is not None
    assert np.array_equal(arrays["class_maps"], explanations.scaled(own))
    assert described["features"] == [0, 1]


def test_the_files_have_the_same_bytes_each_time(tmp_path: Any) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, ({"grad_cam": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}, {"images": []}))
        contents.append([(tmp_path / name / file).read_bytes() for file in ("pictures.npz", "pictures.json")])
    assert contents[0] == contents[1]
