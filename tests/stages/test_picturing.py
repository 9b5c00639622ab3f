from typing import Any

import numpy as np

from pipeline.stages.picturing import EXPLAINED, chosen, write


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
    assert [rows[place]["path"] for place in chosen(rows)] == ["4", "2", "3", "6"]


def test_of_equal_confidence_the_first_path_is_taken() -> None:
    rows = [row("z", "a", "b", 0.5), row("y", "a", "b", 0.5)]
    assert chosen(rows) == [1, 0]


def test_of_many_classes_some_at_equal_distances_are_shown() -> None:
    names = [f"{number:03}" for number in range(200)]
    rows = [row(name, name, name, 0.5) for name in names] + [row(f"{name}w", name, "x", 0.4) for name in names]
    found = [rows[place]["path"] for place in chosen(rows)]
    assert found == ["000w", "001w", "002w", "003w", "000", "050", "100", "150"]
    assert len(found) == 2 * EXPLAINED


def test_the_files_have_the_same_bytes_each_time(tmp_path: Any) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, ({"grad_cam": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}, {"images": []}))
        contents.append([(tmp_path / name / file).read_bytes() for file in ("pictures.npz", "pictures.json")])
    assert contents[0] == contents[1]
