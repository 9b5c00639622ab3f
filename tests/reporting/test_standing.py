"""What the page says of an experiment beside its own backbone's frozen probe."""

import pytest
import test_facts
from test_facts import material, repeat

from pipeline.reporting import notes, page, standing
from pipeline.reporting.material import Probe

IMAGES = 60
FROZEN = "a logistic regression on the features of its frozen backbone"


def answered(number, right, changes=()):
    """A repeat that tells the first so many of the same images right."""
    rows = [{"path": f"{n}.png", "correct": str(int(n < right))} for n in range(IMAGES)]
    return repeat(number, changes)._replace(predictions=rows)


def probe(right):
    return Probe("", {f"{n}.png": n < right for n in range(IMAGES)})


def told(rights, probes, changes=()):
    repeats = [answered(number, right, changes) for number, right in enumerate(rights, start=1)]
    given = {number: probe(right) for number, right in enumerate(probes, start=1)}
    return standing.sentence(material(*repeats)._replace(probes=given))


def test_what_training_adds_is_told_with_its_interval():
    text = told([55, 54, 56], [30, 30, 30])
    assert text.startswith("Fine-tuning adds 41.7 points (")
    assert text.endswith(f" to {FROZEN} (50.0 %), which trains no layer.".replace(" %", "\u00a0%"))


def test_no_detectable_difference_is_told_as_that():
    text = told([31, 29, 30], [30, 30, 30])
    assert text.startswith(f"Fine-tuning has no detectable difference from {FROZEN}")
    assert ": 0.0 points (-" in text


def test_a_difference_that_is_equal_in_every_repeat_is_told_as_that():
    text = told([60, 60], [0, 0])
    assert text.startswith("Fine-tuning differs by 100.0 points from ")
    assert text.endswith(": the same difference in every repeat, so no spread to test with; add repeats.")


def test_a_head_below_the_probe_is_told_with_what_may_be_why():
    text = told([20, 21, 19], [50, 50, 50], {"network.freeze": "1"})
    assert text.startswith("The trained head is 50.0 points (")
    assert f" below {FROZEN}" in text
    assert text.endswith(
        "Both read the same features: the head's training falls short, for its budget or its rate, now 60 epochs at "
        "0.0002."
    )


def test_a_probe_of_ones_own_is_no_fine_tuning():
    text = told([20, 21, 19], [50, 50, 50], {"network.freeze": "probe"})
    assert text.startswith("The solved head is 50.0 points (")
    assert text.endswith("which trains no layer.")


def test_fine_tuning_below_the_probe_is_told_too():
    assert "So training took away more than it gave" in told([20, 21, 19], [50, 50, 50])


def test_a_probe_whose_strength_was_chosen_among_few_is_told():
    few = probe(30)._replace(remark="the regression's strength is the best of four")
    text = standing.sentence(material(answered(1, 55))._replace(probes={1: few}))
    assert text.endswith(" The regression's strength is the best of four.")


def test_of_one_repeat_other_seeds_are_not_tried():
    assert "; other seeds are not tried." in told([55], [30])


def test_without_a_probe_the_reason_is_told_and_nothing_of_older_runs():
    one = answered(1, 30)
    assert standing.sentence(material(one)) is None
    reason = {1: Probe("the network starts from random values", {})}
    assert standing.sentence(material(one)._replace(probes=reason)) == (
        "There is no frozen probe to compare with: the network starts from random values."
    )


def test_the_page_has_the_probe_beside_the_answer_and_among_the_notes():
    shown = material(answered(1, 55), answered(2, 54))._replace(probes={1: probe(30), 2: probe(30)})
    assert ("frozen backbone, logistic regression", "50.0\u00a0%") in page._answer(shown)["others"]
    assert any(note.startswith("Fine-tuning adds") for note in notes.limits(shown))
    assert test_facts.ECSM.network.freeze == "3b"


@pytest.mark.parametrize("probes", [{}, {1: Probe("none", {})}])
def test_there_is_no_row_without_a_probe(probes):
    assert standing.row(material(answered(1, 30))._replace(probes=probes)) == []
