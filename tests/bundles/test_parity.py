"""What the parity report counts, and that it finds a model that differs."""

from typing import Any

import numpy as np
import pytest

from pipeline.bundles import parity
from pipeline.bundles.originals import spread
from pipeline.bundles.parity import Photograph
from pipeline.commands import export as command

CLASSES = ("a", "b", "c")
OURS = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])


def photographs(*labels: int | None) -> list[Photograph]:
    return [Photograph(f"a/{number}.png", None, label) for number, label in enumerate(labels)]  # type: ignore[arg-type]


def test_each_photograph_with_another_class_is_listed_with_what_had_to_change() -> None:
    theirs = OURS.copy()
    theirs[1] = [0.3, 0.5, 0.2]
    theirs[0] = [0.69, 0.21, 0.1]
    found = parity.agreement(OURS, theirs, photographs(0, 0, 2, 1), CLASSES)
    assert (found["photographs"], found["equal"], found["equal_percent"]) == (4, 3, 75.0)
    (one,) = found["exceptions"]
    assert (one["photograph"], one["bundle"], one["exported"]) == ("a/1.png", "a", "b")
    assert one["margin"] == pytest.approx(0.05)
    assert one["gap"] == found["largest_gap"] == pytest.approx(0.15)


def test_equal_models_have_no_exception() -> None:
    found = parity.agreement(OURS, OURS, photographs(0, 0, 2, 1), CLASSES)
    assert (found["equal_percent"], found["largest_gap"], found["exceptions"]) == (100.0, 0.0, [])


def test_the_accuracy_changed_is_paired_with_its_interval_and_test() -> None:
    ours = np.tile(np.eye(3), (40, 1))
    theirs = ours.copy()
    # Twelve that were right, and three that were wrong and are right now.
    labels = [row % 3 for row in range(120)]
    theirs[:12] = np.roll(theirs[:12], 1, axis=1)
    for row in (20, 21, 22):
        labels[row] = (labels[row] + 1) % 3
        theirs[row] = np.eye(3)[labels[row]]
    lost = parity.accuracy_changed(ours, theirs, photographs(*labels))
    assert lost is not None
    assert (lost["only_right_before"], lost["only_right_after"]) == (12, 3)
    assert lost["difference"] == pytest.approx(-9 / 120)
    assert lost["low"] < lost["difference"] < lost["high"] < 0
    assert lost["p"] == pytest.approx(2 * sum((1, 15, 105, 455)) / 2**15)


def test_photographs_of_a_group_count_as_one_in_the_accuracy_changed() -> None:
    ours = np.tile(np.eye(3), (40, 1))
    theirs = ours.copy()
    theirs[:12] = np.roll(theirs[:12], 1, axis=1)
    # The twelve that were right are of two specimens, which may as well have been exchanged.
    given = [
        one._replace(group=f"specimen {row // 6}") for row, one in enumerate(photographs(*(n % 3 for n in range(120))))
    ]
    lost = parity.accuracy_changed(ours, theirs, given)
    assert lost is not None
    assert (lost["only_right_before"], lost["only_right_after"], lost["groups"]) == (12, 0, 20)
    assert lost["p"] == 0.5
    alone = parity.accuracy_changed(ours, theirs, [one._replace(group="") for one in given])
    assert alone is not None
    assert alone["p"] < 0.001
    assert lost["high"] - lost["low"] > 2 * (alone["high"] - alone["low"])
    assert parity.accuracy_changed(ours, theirs, [one._replace(group="one") for one in given]) is None


def test_where_no_answer_became_right_or_wrong_there_is_no_interval() -> None:
    """Another class that is wrong as well changes no accuracy."""
    theirs = OURS[[0, 3, 2, 3]]
    lost = parity.accuracy_changed(OURS, theirs, photographs(0, 2, 2, 1))
    assert lost is not None
    assert (lost["difference"], lost["low"], lost["high"], lost["p"]) == (0, None, None, 1)
    assert lines_of(lost) == [
        "  accuracy 75.0 % in place of 75.0 %: none of 4 answers became right or wrong, so there is no interval"
    ]


def test_where_all_photographs_change_alike_there_is_no_interval() -> None:
    lost = parity.accuracy_changed(OURS[[0, 0, 0]], OURS[[2, 2, 2]], photographs(2, 2, 2))
    assert lost is not None
    assert (lost["difference"], lost["low"]) == (1, None)
    (line,) = lines_of(lost)
    assert line.endswith("+100.0 points, no interval, as all photographs changed alike, McNemar's p 0.25")


def test_two_groups_have_no_interval() -> None:
    given = [one._replace(group=group) for one, group in zip(photographs(0, 0, 2, 1), "ppqq", strict=True)]
    lost = parity.accuracy_changed(OURS, OURS[[0, 3, 2, 3]], given)
    assert lost is not None
    assert (lost["difference"], lost["low"], lost["groups"]) == (-0.25, None, 2)
    (line,) = lines_of(lost)
    assert "-25.0 points, no interval, as there are two groups alone, p of exchanged groups 1" in line


def lines_of(lost: dict[str, Any] | None) -> list[str]:
    values = report(int8=True)
    values["int8"] = {**values["int8"], "accuracy": lost}
    return [line for line in command.as_lines(values) if "accuracy" in line]


def test_without_known_classes_no_accuracy_is_claimed() -> None:
    unknown = parity.accuracy_changed(OURS, OURS, photographs(0, None, 2, 1))
    assert unknown is None
    assert lines_of(unknown) == ["  accuracy not compared: the bundle was tested on none of these photographs"]


def test_training_photographs_for_8_bit_ranges_are_spread_over_all_classes() -> None:
    given = photographs(*range(10))
    assert [one.label for one in spread(given, 5)] == [0, 2, 4, 6, 8]
    assert [one.label for one in spread(given, 100)] == list(range(10))


def report(*, reduced: int = 0, int8: bool = False) -> dict[str, Any]:
    agreement = parity.agreement(OURS, OURS[[0, 3, 2, 3]], photographs(0, 0, 2, 1), CLASSES)
    rate = {"images_per_second": 10.0, "spread": 1.0}
    values: dict[str, Any] = {
        "model": "model.onnx",
        "same_decoding": agreement,
        "decoded_at_full_size": {"of_another_size": reduced, **agreement, "accuracy": None},
        "speed": {"bundle": rate, "model.onnx": rate, "passes": 5, "photographs": 4, "threads": 2},
    }
    if int8:
        lost = parity.accuracy_changed(OURS, OURS[[0, 3, 2, 3]], photographs(0, 0, 2, 1))
        values["int8"] = {"model": "model-int8.onnx", **agreement, "accuracy": lost}
    return values


def test_the_terminal_names_the_exceptions_and_what_was_decoded_smaller_only_where_it_was() -> None:
    lines = list(command.as_lines(report()))
    assert "3 of 4 photographs get the bundle's class (75.00 %)" in lines[0]
    assert "a/1.png: b in place of a, which has a margin of 0.05" in lines[1]
    assert not [line for line in lines if "full size" in line or "int8" in line]
    assert [line for line in command.as_lines(report(reduced=2)) if "at full size, as 2 were not" in line]


def test_a_slow_machine_has_speeds() -> None:
    values = report()
    values["speed"] = {
        "bundle": {"images_per_second": 0.0431, "spread": 0.0052},
        "passes": 5,
        "photographs": 4,
        "threads": 2,
    }
    assert "one at a time: bundle 0.0431 ± 0.0052 (5 passes of 4, 2 threads)" in list(command.as_lines(values))[-1]


def test_the_terminal_has_the_accuracy_in_8_bits_with_its_interval() -> None:
    (line,) = [line for line in command.as_lines(report(int8=True)) if "accuracy" in line]
    assert "75.0 % in place of 100.0 %: -25.0 points, 95 % interval -100.0 to +54.6, McNemar's p 1" in line
