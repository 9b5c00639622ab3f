"""When the page says that a training ended too early."""

import pytest
import written_results

from pipeline.core.naming import Own
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import notes, unfinished
from pipeline.reporting.material import Material

FALLING = [2.0, 1.4, 1.1, 0.9, 0.75]
RESTING = [2.0, 1.0, 0.8, 0.8, 0.795]
SURE = [{"low": 0.6, "high": 0.667, "images": 100, "confidence": 0.62, "accuracy": 0.6}]
UNSURE = [{"low": 0.4, "high": 0.467, "images": 100, "confidence": 0.45, "accuracy": 0.6}]
ONE_PHASE = [{"freeze": "3b", "amount": 5, "lr": 1e-3, "regularizer": "none", "continues": False}]


def repeat(number=1, losses=FALLING, *, learned=0.8, reliability=SURE, rates=None, phases=ONE_PHASE, unit="epochs"):
    """A repeat with these losses by epoch, of four iterations each."""
    budget = {"unit": unit, "amount": sum(phase["amount"] for phase in phases)}
    settings = written_results.settings_of("quick")
    recipe = written_results.changed(settings, {"train.budget": budget, "train.phases": phases})
    rows = [
        {
            "epoch": str(n + 1),
            "iteration": str(4 * (n + 1)),
            "lr": str(rates[n] if rates else 1e-3),
            "train_loss": str(loss),
            "train_accuracy": str(learned if n + 1 == len(losses) else 0.1),
        }
        for n, loss in enumerate(losses)
    ]
    scores = written_results.scores_of(accuracy=0.6, reliability=reliability)
    record = written_results.record_of(number, recipe, classes=["a", "b"])
    predictions = [{"path": f"{number}/{n}.png", "correct": str(n % 2)} for n in range(4)]
    return Repeat(number, record, written_results.runtime_of(), scores, history=rows, predictions=predictions)


@pytest.mark.parametrize(
    ("losses", "learned", "reliability", "is_unfinished"),
    [
        (FALLING, 0.8, SURE, True),
        (FALLING, 0.8, UNSURE, True),
        (FALLING, 0.99, UNSURE, True),
        # What is learned goes on losing loss for as long as it trains.
        (FALLING, 0.99, SURE, False),
        (FALLING, 0.95, SURE, False),
        # A network that cannot learn its images, such as a head alone, or one that sees each image changed.
        (RESTING, 0.8, SURE, False),
        (RESTING, 0.8, UNSURE, False),
        ([0.0] * 5, 0.8, UNSURE, False),
        ([*FALLING[:4], 0.95], 0.8, UNSURE, False),
        # Both signs take less of a fall than one.
        ([*FALLING[:4], 0.88], 0.8, UNSURE, True),
        ([*FALLING[:4], 0.88], 0.8, SURE, False),
        ([*FALLING[:4], 0.88], 0.99, UNSURE, False),
    ],
)
def test_a_falling_loss_counts_with_images_not_learned_or_a_confidence_below_accuracy(
    losses, learned, reliability, is_unfinished
):
    one = repeat(losses=losses, learned=learned, reliability=reliability)
    assert bool(unfinished.unfinished([one])) is is_unfinished


@pytest.mark.parametrize(
    ("changes", "learned", "reliability"),
    [
        ({"train.early_stop": 3}, 0.8, UNSURE),
        ({"train.mixup": 0.2}, 0.8, SURE),
        ({"train.cutmix": 1.0}, 0.8, UNSURE),
        ({"train.label_smoothing": 0.1}, 0.99, UNSURE),
    ],
)
def test_no_sign_is_read_from_what_an_ingredient_does_by_itself(changes, learned, reliability):
    one = repeat(learned=learned, reliability=reliability)
    assert unfinished.unfinished([one])
    recipe = written_results.changed(one.record.recipe, changes)
    assert unfinished.unfinished([one._replace(record=one.record.model_copy(update={"recipe": recipe}))]) is None


def test_the_fall_has_to_exceed_its_noise_over_the_repeats():
    ends = {"alike": (0.75, 0.76, 0.74), "apart": (0.5, 1.2, 0.85)}
    found = {
        name: unfinished.unfinished([repeat(n, [*FALLING[:4], end]) for n, end in enumerate(values, start=1)])
        for name, values in ends.items()
    }
    assert found["alike"]
    assert found["apart"] is None
    # Each of these ends would do for all three.
    assert unfinished.unfinished([repeat(n, [*FALLING[:4], 0.85]) for n in (1, 2, 3)])


def test_where_the_rate_has_run_down_the_fall_is_measured_while_there_was_a_rate():
    losses = [2.0, 1.4, 1.1, 1.0, 0.99]
    assert unfinished.fall(repeat(losses=losses)) == pytest.approx(0.01)
    assert unfinished.fall(repeat(losses=losses, rates=[5e-3, 4e-3, 2e-3, 1e-3, 1e-4])) == pytest.approx(1 - 0.99 / 1.1)


def test_a_single_epoch_and_the_first_of_a_phase_say_nothing_of_a_fall():
    phases = [ONE_PHASE[0] | {"amount": 4}, ONE_PHASE[0] | {"amount": 1}]
    assert unfinished.fall(repeat(losses=[2.0])) is None
    assert unfinished.fall(repeat(phases=phases)) is None
    assert unfinished.unfinished([repeat(phases=phases)]) is None


def test_halves_that_share_a_schedule_are_one_training_and_iterations_are_counted():
    halves = [ONE_PHASE[0] | {"amount": 16}, ONE_PHASE[0] | {"amount": 4, "continues": True}]
    assert unfinished.fall(repeat(phases=halves, unit="iterations")) == pytest.approx(1 - 0.75 / 0.9)
    apart = [ONE_PHASE[0] | {"amount": 16}, ONE_PHASE[0] | {"amount": 4}]
    assert unfinished.fall(repeat(phases=apart, unit="iterations")) is None


@pytest.mark.parametrize(
    ("images", "accuracy", "confidence", "found"),
    [(100, 0.6, 0.45, 0.45), (100, 0.6, 0.55, None), (2000, 0.6, 0.55, 0.55), (100, 0.6, 0.7, None)],
)
def test_confidence_is_below_accuracy_where_the_difference_is_more_than_the_chance_of_so_many_images(
    images, accuracy, confidence, found
):
    part = {"low": 0.4, "high": 0.467, "images": images, "confidence": confidence, "accuracy": accuracy}
    scores = written_results.scores_of(accuracy=accuracy, reliability=[part])
    assert unfinished.underconfidence(scores) == (found and pytest.approx(found))


def test_few_test_images_that_are_all_right_are_no_sign_of_a_confidence_below_accuracy():
    """Eight images of 80 % are all right by a chance of one in six, each in a bin of its own or all in one."""
    apart = [{"low": 0.8, "high": 0.867, "images": 1, "confidence": 0.8, "accuracy": 1.0}] * 8
    together = [apart[0] | {"images": 8}]
    for reliability in (apart, together):
        assert unfinished.underconfidence(written_results.scores_of(accuracy=1.0, reliability=reliability)) is None
    many = [apart[0] | {"images": 80}]
    assert unfinished.underconfidence(written_results.scores_of(accuracy=1.0, reliability=many)) == pytest.approx(0.8)


def told(*repeats, own=None):
    health = {"findings": []}
    material = Material(repeats, "a paper", {"set": "folder"}, {"a": 4}, [], [], [], health=health, own=own)
    return [note for note in notes.limits(material) if note.startswith("Training looks unfinished")]


def test_the_page_says_it_with_the_evidence_and_the_word_that_changes_it():
    [note] = told(*(repeat(n, reliability=UNSURE) for n in (1, 2)))
    assert note.replace("\u00a0", " ") == (
        "Training looks unfinished after 5 epochs: in its last part the training loss still fell by 17 % (in every "
        "repeat by 17 % or more), 80 % of the training images are right at its end, on test images the mean "
        "confidence, 45.0 %, is below the accuracy, 60.0 %. A longer one, such as -S budget=10, may do better."
    )
    assert "confidence" not in told(repeat())[0]
    assert told(repeat(losses=RESTING)) == []


@pytest.mark.parametrize(("own", "budget"), [(60, 60), (5, 10), (3, 10)])
def test_the_recipes_own_budget_is_named_where_it_is_longer(own, budget):
    assert f"such as -S budget={budget}, may" in told(repeat(), own=Own(attention="none", amount=own))[0]
