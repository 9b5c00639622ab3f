"""When the report says that a regularizer's weights have run into one place."""

import numpy as np
import pytest
import written_results

from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import collapses, curves, facts, notes, page, wording
from pipeline.reporting.collapses import Collapse
from pipeline.reporting.explained import Explanations
from pipeline.reporting.material import Material
from pipeline.reporting.pictures import Picture

EVEN = {"entropy": 0.98, "maximum": 0.02, "mass": 0.5}


def row(epoch, **layers):
    """A line of history.csv: by tap, entropy, maximum and mass."""
    told = {
        f"{name}/{layer}": str(value) for layer, values in layers.items() for name, value in (EVEN | values).items()
    }
    trained = {"lr": "0.1", "train_loss": "1", "train_accuracy": "1"}
    return {"epoch": str(epoch), "iteration": str(10 * epoch)} | trained | told


def repeat(*rows, number=1, method="gca", parts=None, unit="epochs"):
    """A repeat whose parts are (method, amount, layers)."""
    parts = parts or [(method, len(rows), ["near", "far"])]
    phases = [part_of(name, amount, layers) for name, amount, layers in parts]
    recipe = written_results.settings_of("quick", {"train.budget": {"unit": unit, "amount": sum(p[1] for p in parts)}})
    record = written_results.record_of(number, recipe, phases=phases)
    runtime, scores = written_results.runtime_of(), written_results.scores_of()
    return Repeat(number, record, runtime, scores, history=list(rows), predictions=[])


def part_of(method, amount, layers=("near", "far")):
    """A part of a training in the record."""
    part = {"freeze": "2", "amount": amount, "lr": 0.01, "regularizer": method, "trainable": 7, "frozen": 0}
    compared = {"regularizer_parameters": 9, "hooked_layers": list(layers), "idle_layers": []}
    return part | (compared if layers else {})


@pytest.mark.parametrize(
    ("maximum", "entropy", "collapsed"),
    [(0.51, 0.49, True), (0.5, 0.4, False), (0.6, 0.5, False), (0.4, 0.1, False), (0.99, 0.01, True)],
)
def test_weights_have_collapsed_where_one_place_has_most_and_entropy_is_low(maximum, entropy, collapsed):
    found = collapses.collapses([repeat(row(1, near={"maximum": maximum, "entropy": entropy}, far={}))])
    assert found == ([Collapse(1, "gca", "near", maximum, alone=False)] if collapsed else [])


@pytest.mark.parametrize(("mass", "collapsed"), [(0.951, True), (0.95, False), (0.5, False)])
def test_weights_have_collapsed_where_one_layer_has_nearly_all(mass, collapsed):
    found = collapses.collapses([repeat(row(1, near={"mass": mass}, far={"mass": 1 - mass}))])
    assert found == ([Collapse(1, "gca", "near", mass, alone=True)] if collapsed else [])


def test_even_weights_have_not():
    assert collapses.collapses([repeat(row(1, near={}, far={}))]) == []


def test_a_single_tap_holds_everything_without_having_collapsed():
    one = repeat(row(1, near={"mass": 1.0}), parts=[("gca", 1, ["near"])])
    assert collapses.collapses([one]) == []


def test_a_map_of_one_position_holds_its_own_weight_without_having_collapsed():
    one = repeat(row(1, near={"maximum": 1.0, "entropy": 1.0}, far={}), method="spa")
    assert collapses.collapses([one]) == []


def test_what_counts_is_how_each_half_ends():
    gone = {"maximum": 0.9, "entropy": 0.1}
    parts = [("spa", 2, ["near", "far"]), ("gca", 2, ["near", "far"])]
    rows = [row(1, near=gone, far={}), row(2, near={}, far=gone), row(3, near=gone, far={}), row(4, near={}, far={})]
    assert collapses.collapses([repeat(*rows, parts=parts)]) == [Collapse(1, "spa", "far", 0.9, alone=False)]


def test_halves_of_iterations_end_with_their_own_epochs():
    gone = {"maximum": 0.9, "entropy": 0.1}
    parts = [("spa", 20, ["near", "far"]), ("gca", 10, ["near", "far"])]
    rows = [row(1, near={}, far={}), row(2, near=gone, far={}), row(3, near={}, far={})]
    found = collapses.collapses([repeat(*rows, parts=parts, unit="iterations")])
    assert [(one.method, one.layer) for one in found] == [("spa", "near")]


def test_columns_of_the_other_half_are_empty_and_say_nothing():
    second = {name: "" for name in row(2, near={}) if "/" in name} | {"epoch": "2", "iteration": "20"}
    parts = [("spa", 1, ["near"]), ("none", 1, [])]
    assert collapses.collapses([repeat(row(1, near={}), second, parts=parts)]) == []


def test_each_repeat_and_tap_counts():
    gone = {"maximum": 0.9, "entropy": 0.1}
    found = collapses.collapses([repeat(row(1, near=gone, far=gone)), repeat(row(1, near={}, far=gone), number=2)])
    assert [(one.repeat, one.layer) for one in found] == [(1, "near"), (1, "far"), (2, "far")]


def test_the_note_tells_the_worst_case_and_how_many_more():
    found = [Collapse(1, "act", "near", 0.6, alone=False), Collapse(2, "gca", "far", 0.97, alone=True)]
    assert notes.collapsed(found) == (
        "The weights of gca have collapsed: at far the layer holds 97\u00a0% of the weight in repeat 2, and in 1 more "
        "cases. It then keeps little of the network near the pre-trained one."
    )
    assert "at near one place of it holds 60\u00a0% of the weight in repeat 1. It then" in notes.collapsed(found[:1])


GCA = {"weight_decay": 0.0, "alpha": 0.1, "beta": 0.01, "reduction": 4}


def material(near, *, phases=(("gca", 1),)):
    """What a report of one short training is made from, in phases of (method, amount)."""
    amount = sum(amount for _, amount in phases)
    budget = {"train.budget": {"unit": "epochs", "amount": amount}, "options.regularizer.gca": GCA}
    method = "spa_gca" if len(phases) > 1 else phases[0][0]
    recipe = written_results.settings_of("spa_gca", budget, data="folder", regularizer=method)
    record = written_results.record_of(
        1,
        recipe,
        classes=["a", "b"],
        recipe_name="spa_gca",
        phases=[part_of(*phase) for phase in phases],
        parameters={"trainable": 7, "frozen": 0, "regularizer": 9},
        stages={"stem": {"trainable": 7, "frozen": 0}},
        parts={"train": 4, "val": 0, "test": 4},
    )
    runtime, scores = written_results.runtime_of(), written_results.scores_of()
    history = [row(1, near=near, far={}) | {"lr": "0.01", "train_loss": "1", "train_accuracy": "0.5"}]
    predictions = [
        {"path": f"{n}.png", "actual": "a", "predicted": "ba"[n % 2], "confidence": "0.5", "correct": str(n % 2)}
        for n in range(4)
    ]
    one = Repeat(1, record, runtime, scores, history, predictions)
    told = {"set": "folder", "title": "Spiders", "has_parts": False, "rejected": 0}
    return Material([one], "a paper", told, {"a": 4, "b": 4}, rejected=[], right=[], wrong=[], health=HEALTH)


HEALTH = {
    "sizes": {"smallest": [8, 8], "largest": [8, 8]},
    "modes": {"RGB": 8},
    "imbalance": 1,
    "groups": "",
    "copies": "",
    "findings": [],
}
DRAWN = ("counts", "loss", "accuracy", "stages", "confusion", "classes", "reliability", "values")
CHARTS = dict.fromkeys(DRAWN, Picture(b"<svg/>", b"<svg/>", b"", "a chart"))
DESCRIBED = {"layers": {"last": "layer4.1", "finer": "layer3.1"}, "attention": "", "features": []}
MAPS = dict.fromkeys(("grad_cam", "layer_cam"), np.ones((1, 3, 3), dtype=np.uint8))
EXPLAINED = Explanations(1, values={}, described=DESCRIBED, arrays=MAPS, images=[])


@pytest.mark.parametrize(("near", "said"), [({"maximum": 0.9, "entropy": 0.1}, True), ({}, False)])
def test_the_notes_of_a_report_say_it_where_it_is_so(near, said):
    assert any("have collapsed" in note for note in notes.limits(material(near))) is said


@pytest.mark.parametrize(("near", "said"), [({"maximum": 0.9, "entropy": 0.1}, True), ({}, False)])
@pytest.mark.parametrize(
    "write", [page.markdown, lambda given: page.page(given, CHARTS, EXPLAINED, [])], ids=["markdown", "page"]
)
def test_markdown_and_page_say_it_too(write, near, said):
    assert ("The weights of gca have collapsed" in write(material(near))) is said


def test_the_method_and_its_size_are_among_the_facts():
    given = material({})
    assert dict(facts.experiment(given))["Regularizer"] == "gca (alpha 0.1, beta 0.01, r 4, weights of mean one)"
    told = dict(facts.training(given.repeats))
    assert told["Maps compared with the source's"] == "near, far"
    assert told["Parameters of the regularizer, all parts"] == "9"


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (("spa", "gca"), "spa_gca: spa (alpha 0.1), then gca (alpha 0.2, r 4), each for half of the budget"),
        (("gca", "spa"), "spa_gca: gca (alpha 0.2, r 4), then spa (alpha 0.1), each for half of the budget"),
    ],
)
def test_halves_are_told_in_their_order(order, told):
    own = {"spa": {"alpha": 0.1}, "gca": {"alpha": 0.2, "reduction": 4}}
    options = {"spa_gca": {"weight_decay": 0.0}} | {name: own[name] for name in order}
    assert wording.regularizer("spa_gca", options) == told


def test_halves_are_told_one_by_one_and_begin_with_their_names():
    [given] = material({}, phases=(("spa", 1), ("gca", 1))).repeats
    told = dict(facts.training([given]))
    assert (told["Half 1"], told["Half 2"]) == ("1 epoch: spa", "1 epoch: gca")
    assert curves.phase_starts(given.record) == {"half 2: gca": 2}
