import pytest
import written_results

from pipeline.evaluation.compare import statistics
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import confidence_intervals

RECIPE = written_results.settings_of("quick", {"train.lr": 0.1})


def repeat(number, right, *, of=10, fixed=False, **scores):
    names = [f"{'all' if fixed else number}/{n}.png" for n in range(of)]
    rows = [{"path": name, "correct": str(int(n < right))} for n, name in enumerate(names)]
    parameters = {"trainable": 7, "frozen": 0, "regularizer": 0}
    counted = {"parameters": parameters, "parts": {"train": 30, "val": 0, "test": of}}
    equal = dict.fromkeys(("accuracy", "macro_f1"), right / of)
    return Repeat(
        number,
        written_results.record_of(number, RECIPE, classes=["a", "b"], **counted),
        written_results.runtime_of(train_seconds=2.0),
        written_results.scores_of(**equal | scores),
        history=[],
        predictions=rows,
    )


def test_over_drawn_splits_every_score_has_the_corrected_interval():
    found = confidence_intervals.intervals([repeat(1, 5), repeat(2, 7), repeat(3, 6)])
    expected = statistics.interval([0.5, 0.7, 0.6], train=30, test=10)
    assert found["accuracy"] == found["macro_f1"] == pytest.approx(expected)


def test_over_the_same_test_images_the_interval_is_plain():
    found = confidence_intervals.intervals(
        [repeat(number, right, fixed=True) for number, right in ((1, 5), (2, 7), (3, 6))]
    )
    assert found["accuracy"] == pytest.approx(statistics.interval([0.5, 0.7, 0.6], train=30, test=0))


def test_a_single_repeat_has_wilsons_interval_of_its_accuracy_alone():
    assert confidence_intervals.intervals([repeat(1, 5)]) == {"accuracy": statistics.wilson(5, 10)}


def test_the_summary_has_the_ends_of_the_accuracys_interval():
    told = confidence_intervals.summary([repeat(1, 5), repeat(2, 7), repeat(3, 6)])
    low, high = statistics.interval([0.5, 0.7, 0.6], train=30, test=10)
    assert told["accuracy"] == pytest.approx({"mean": 0.6, "sd": 0.1, "n": 3, "low": low, "high": high})
    assert "low" not in told["macro_f1"]


@pytest.mark.parametrize(
    ("repeats", "told"),
    [
        ([repeat(1, 5), repeat(2, 7)], "corrected for training parts that overlap (Nadeau and Bengio 2003)."),
        ([repeat(1, 5, fixed=True), repeat(2, 7, fixed=True)], "is over such repeats on these very test images."),
        (
            [repeat(1, 5, fixed=True), repeat(2, 7, fixed=True)],
            "interval of repeat 1 alone tells: 23.7 to 76.3\u00a0%.",
        ),
        ([repeat(1, 5), repeat(2, 5)], "It is 0, which gives no interval. What other images would change, Wilson's"),
        ([repeat(1, 5)], "Wilson's 95 % interval, 23.7 to 76.3\u00a0%, is of this one network"),
    ],
    ids=["splits", "seeds", "other images", "no spread", "one"],
)
def test_the_note_says_what_the_interval_is_of(repeats, told):
    assert told in confidence_intervals.note(repeats, own_parts=False)


def test_an_experiment_is_compared_by_its_images_scores_cost_and_settings():
    found = confidence_intervals.experiment("mine", [repeat(1, 5), repeat(2, 7, nll=0.5)])
    assert found.trials[2].score("accuracy") == 0.7
    assert (found.trials[2].score("nll"), found.trials[2].train, found.trials[2].seconds) == (0.5, 30, 2.0)
    assert (found.parameters, found.settings["train.lr"], found.settings["threads"]) == (7, 0.1, 2)
    assert (found.settings["device_model"], found.settings["precision"]) == ("", "fp32")
