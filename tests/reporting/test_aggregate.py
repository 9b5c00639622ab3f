import numpy as np
import pytest
import written_results

from pipeline.core.errors import InputError
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import aggregate, curves, examples, page
from pipeline.reporting.aggregate import Confusion
from pipeline.reporting.examples import Example

QUICK = written_results.settings_of("quick")


def repeat(number, *, confusion=((3, 1), (0, 4)), history=(), predictions=(), runtime=(), record=(), **scores):
    changes = {"recipe": QUICK, "classes": ["a", "b"]} | dict(record)
    return Repeat(
        number=number,
        record=written_results.record_of(number, changes.pop("recipe"), **changes),
        runtime=written_results.runtime_of(
            **{"train_seconds": 10.0 * number, "images_per_second": 100.0} | dict(runtime)
        ),
        scores=written_results.scores_of(confusion, **scores),
        history=list(history),
        predictions=list(predictions),
    )


def history(*losses, **columns):
    return [
        {"epoch": str(epoch), "iteration": str(10 * epoch), "train_loss": str(loss)}
        | {name: values[epoch - 1] for name, values in columns.items()}
        for epoch, loss in enumerate(losses, start=1)
    ]


def prediction(path, actual, predicted, confidence):
    return {"path": path, "actual": actual, "predicted": predicted, "confidence": str(confidence)}


def test_the_summary_has_mean_and_sample_deviation():
    told = aggregate.summary([repeat(1), repeat(2, confusion=((4, 0), (0, 4))), repeat(3, confusion=((2, 2), (1, 3)))])
    assert told["accuracy"] == pytest.approx({"mean": 0.8333333, "sd": 0.1909407, "n": 3})
    assert told["train_seconds"] == pytest.approx({"mean": 20, "sd": 10, "n": 3})


def test_the_summary_keeps_every_repeats_accuracy():
    told = aggregate.summary([repeat(4), repeat(7)])
    assert told["repeats"] == {"4": {"accuracy": 0.875}, "7": {"accuracy": 0.875}}


def test_the_summary_has_no_score_that_the_repeats_lack():
    assert "top5_accuracy" not in aggregate.summary([repeat(1)])
    assert {"top5_accuracy", "nll"} <= set(aggregate.summary([repeat(1, top5_accuracy=0.9, nll=0.3)]))


def test_one_repeat_has_no_deviation():
    assert aggregate.summary([repeat(1)])["accuracy"] == {"mean": 0.875, "n": 1}


def test_a_curve_has_mean_range_and_every_repeat():
    curve = curves.curves([repeat(1, history=history(1.0, 0.5)), repeat(2, history=history(3.0, 0.7))])["train_loss"]
    assert (curve.epochs, curve.mean, curve.low, curve.high) == ([1, 2], [2.0, 0.6], [1.0, 0.5], [3.0, 0.7])
    assert curve.repeats == {1: {1: 1.0, 2: 0.5}, 2: {1: 3.0, 2: 0.7}}


def test_a_curve_is_over_epochs_or_over_the_iterations_that_its_repeats_have_done_by_then():
    longer = history(3.0, 0.7, iteration=["12", "24"])
    curve = curves.curves([repeat(1, history=history(1.0)), repeat(2, history=longer)])["train_loss"]
    assert (curve.steps("epoch"), curve.steps("iteration")) == ([1, 2], [11, 24])


def test_a_column_that_no_repeat_has_makes_no_curve():
    assert list(curves.curves([repeat(1, history=history(1.0))])) == ["train_loss"]


def test_an_epoch_counts_the_repeats_that_reached_it():
    rows = curves.curve_rows(curves.curves([repeat(1, history=history(1.0, 0.5)), repeat(2, history=history(3.0))]))
    assert rows[1] == {
        "epoch": "2",
        "train_loss": "0.5",
        "train_loss_min": "0.5",
        "train_loss_max": "0.5",
        "train_loss_repeat_1": "0.5",
        "train_loss_repeat_2": "",
    }


def test_the_means_are_the_first_columns_of_curves_csv():
    rows = curves.curve_rows(
        curves.curves([repeat(1, history=history(1.0, train_accuracy=["0.5"], val_loss=["2"], val_accuracy=["0.4"]))])
    )
    assert list(rows[0])[:5] == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def test_the_pooled_confusion_is_the_sum():
    assert aggregate.pooled_confusion([repeat(1), repeat(2, confusion=((1, 1), (1, 1)))]).tolist() == [[4, 2], [1, 5]]


def test_a_class_is_scored_over_the_repeats_that_tested_it():
    scored = aggregate.class_scores([repeat(1), repeat(2, confusion=((0, 0), (1, 3)))])
    assert (scored[0].recall.mean, scored[0].recall.n, scored[0].support) == (0.75, 1, 4)
    assert (scored[1].recall.mean, scored[1].recall.n, scored[1].support) == (0.875, 2, 8)


def test_a_class_that_no_repeat_tested_scores_nothing():
    scored = aggregate.class_scores([repeat(1, confusion=((0, 0), (1, 3)))])
    assert (scored[0].recall.mean, scored[0].support) == (0, 0)


def test_the_largest_confusions_come_first_and_zeros_not_at_all():
    matrix = np.array([[5, 2, 0], [3, 1, 0], [0, 0, 9]])
    assert aggregate.top_confusions(matrix, ["a", "b", "c"], 8) == [
        Confusion("b", "a", 3, 0.75),
        Confusion("a", "b", 2, pytest.approx(2 / 7)),
    ]


def test_no_more_confusions_than_asked_for():
    assert len(aggregate.top_confusions(np.ones((4, 4), dtype=np.int64), list("abcd"), 5)) == 5


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (1, "and 4 more pairs of classes"),
        (2, "and 3 more pairs of classes, 2 of them as often as the last of these"),
        (4, "and 1 more pair of classes"),
        (5, ""),
        (8, ""),
    ],
)
def test_confusions_that_a_table_leaves_out_are_counted_with_those_that_are_as_frequent(shown, words):
    matrix = np.array([[5, 4, 2], [2, 9, 2], [1, 0, 9]])
    assert page.further_confusions(matrix, shown) == words


def test_naming_the_most_frequent_class_is_right_as_often_as_it_occurs():
    assert aggregate.majority_accuracy([repeat(1, confusion=((6, 0), (1, 1)))]) == 0.75


def test_wrong_examples_start_with_the_most_confident_and_name_an_image_once():
    first = [prediction("1", "a", "b", 0.6), prediction("2", "a", "b", 0.9), prediction("3", "a", "a", 0.99)]
    second = [prediction("1", "a", "b", 0.95)]
    found = examples.wrong_examples([repeat(1, predictions=first), repeat(2, predictions=second)], 12)
    assert found == [Example(2, "1", "a", "b", 0.95), Example(1, "2", "a", "b", 0.9)]


def test_the_list_of_labels_to_look_at_has_every_wrong_image_and_how_often_it_is_wrong():
    first = [prediction("1", "a", "b", 0.6), prediction("=2", "a", "b", 0.9), prediction("3", "a", "a", 0.99)]
    second = [prediction("1", "a", "b", 0.95), prediction("=2", "a", "a", 0.6)]
    rows = examples.look_first([repeat(1, predictions=first), repeat(2, predictions=second)])
    told = {key: [row[key] for row in rows] for key in examples.LOOK_FIRST}
    assert told == {
        "path": ["1", "'=2"],
        "actual": ["a", "a"],
        "predicted": ["b", "b"],
        "confidence": ["0.950000", "0.900000"],
        "repeat": ["2", "1"],
        "wrong_in": ["2", "1"],
        "tested_in": ["2", "2"],
    }


def test_an_example_says_whose_it_is_and_how_often_its_image_is_wrong_where_there_are_several_repeats():
    first = repeat(1, predictions=[prediction("1", "a", "b", 0.6), prediction("2", "a", "a", 0.9)])
    second = repeat(2, predictions=[prediction("1", "a", "a", 0.95), prediction("3", "a", "b", 0.9)])
    wrong, right = examples.wrong_examples([first, second]), examples.right_examples([first, second], 12)
    told = examples.whose([first, second], [*wrong, *right])
    assert {(one.path, one.repeat): text.replace("\u00a0", " ") for one, text in told.items()} == {
        ("3", 2): "repeat 2, wrong in 1 of 1",
        ("1", 1): "repeat 1, wrong in 1 of 2",
        ("2", 1): "repeat 1, wrong in 0 of 1",
    }
    assert examples.whose([first], examples.wrong_examples([first])) == {}


def test_right_examples_are_of_median_confidence_in_each_class():
    rows = [prediction(str(n), "a", "a", n / 10) for n in (9, 5, 7)] + [prediction("w", "b", "a", 0.8)]
    assert [one.path for one in examples.right_examples([repeat(1, predictions=rows)], 12)] == ["7"]


def test_right_examples_are_spread_over_many_classes():
    names = [f"c{n}" for n in range(30)]
    rows = [prediction(name, name, name, 0.5) for name in names]
    one = repeat(1, predictions=rows, record={"classes": names})
    found = examples.right_examples([one], 12)
    assert [example.actual for example in found] == names[::3]


def in_phases(unit, *amounts):
    asked = [{"freeze": "1", "amount": amount, "lr": 1e-3} for amount in amounts]
    changes = {"train.phases": asked, "train.budget": {"unit": unit, "amount": sum(amounts)}, "train.lr": 1e-3}
    recipe = written_results.settings_of("quick", changes, freeze="phases")
    phases = [phase | {"regularizer": "none", "trainable": 1, "frozen": 1} for phase in asked]
    return written_results.record_of(1, recipe, phases=phases)


@pytest.mark.parametrize(("unit", "column"), [("epochs", "epoch"), ("iterations", "iteration")])
def test_a_phase_begins_after_those_before_as_its_budget_is_counted(unit, column):
    record = in_phases(unit, 2, 1, 2)
    assert curves.phase_starts(record) == {"phase 2": 3, "phase 3": 4}
    assert curves.unit(record) == column


def test_a_single_phase_has_no_start_worth_a_mark():
    assert curves.phase_starts(in_phases("epochs", 3)) == {}


def measured(number, network, without, *, device="GPU"):
    speeds = {"network": network, "without_attention": without}
    runtime = {"inference_images_per_second": speeds, "device_name": device}
    return repeat(number, runtime=runtime, record={"device": "cuda", "precision": "tf32"})


def test_the_forward_pass_has_the_median_of_the_repeats_and_of_their_own_ratios():
    [found] = aggregate.forward_passes([measured(1, 50.0, 100.0), measured(2, 90.0, 100.0), measured(3, 60.0, 80.0)])
    assert found.network == (60.0, 50.0, 90.0, 3)
    assert found.without_attention == (100.0, 80.0, 100.0, 3)
    assert found.ratio == (0.75, 0.5, 0.9, 3)


def test_the_speeds_of_two_devices_are_never_mixed():
    found = aggregate.forward_passes([measured(1, 50.0, 100.0), measured(2, 5.0, 8.0, device="slow")])
    assert [(one.device, one.network.median) for one in found] == [
        ("GPU (cuda, TF32)", 50.0),
        ("slow (cuda, TF32)", 5.0),
    ]


def test_without_attention_no_forward_pass_was_measured():
    assert aggregate.forward_passes([repeat(1, runtime={"inference_images_per_second": {}})]) == []


OTHER = {
    "recipe_name": {"record": {"recipe_name": "another"}},
    "recipe": {"record": {"recipe": written_results.settings_of("quick", freeze="3c")}},
    "data": {"record": {"classes": ["a", "c"]}},
    "weights": {
        "record": {"weights": {"origin": "package weights 1.0", "license": "", "file_sha256": "", "sha256": "0" * 64}}
    },
}


@pytest.mark.parametrize("part", OTHER)
def test_repeats_of_two_experiments_are_not_averaged(part):
    with pytest.raises(InputError, match=rf"^record\.json: `{part}` of repeat 2 is not that of repeat 1; `dvc repro`"):
        aggregate.check_same_experiment([repeat(1), repeat(2, **OTHER[part])])


def test_repeats_over_other_labels_of_test_images_are_not_averaged():
    with pytest.raises(InputError, match=r"^record\.json: `data` of repeat 2 is not that of repeat 1; `dvc repro`"):
        aggregate.check_same_experiment([repeat(1), repeat(2, runtime={"data_sha256": "0" * 64})])


def test_repeats_of_one_experiment_may_differ_in_their_device():
    aggregate.check_same_experiment([repeat(1, record={"device": "cpu"}), repeat(2, record={"device": "cuda"})])


def test_the_most_confused_classes_are_those_of_the_largest_confusions():
    matrix = np.diag([9] * 6)
    matrix[1, 4], matrix[5, 1], matrix[0, 2] = 5, 4, 1
    assert aggregate.most_confused(matrix, 3) == [1, 4, 5]
    assert aggregate.most_confused(matrix, 6) == [0, 1, 2, 4, 5]
    assert aggregate.most_confused(np.diag([9] * 6), 3) == []
