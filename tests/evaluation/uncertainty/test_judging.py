import json
import subprocess
import sys
from dataclasses import asdict

import judged
import numpy as np
import pytest
from scipy.special import softmax

from pipeline.core.errors import InputError
from pipeline.evaluation.predictions import calibration as calibration_error
from pipeline.evaluation.predictions import calibration_error_by_chance
from pipeline.evaluation.uncertainty import judging, outliers
from pipeline.evaluation.uncertainty.assessment import assess
from pipeline.evaluation.uncertainty.judging import Calibration
from pipeline.evaluation.uncertainty.outliers import Strangeness

ALONE = """
import json, sys
for name in ("scipy", "sklearn", "crepes", "torch", "torchvision", "pydantic", "yaml", "dvc", "mlflow"):
    sys.modules[name] = None
import numpy as np
from pipeline.evaluation.uncertainty import judging, outliers
given = json.load(sys.stdin)
logits, features = np.array(given["logits"]), np.array(given["features"])
strangeness = outliers.judge(outliers.Outliers(**given["outliers"]), outliers.normalized(features), features, logits)
result = judging.judge(logits, judging.Calibration.parse(given["calibration"]), strangeness)
print(json.dumps([result.probabilities.tolist(), result.sets[0.9].tolist(), result.ask.tolist()]))
"""


def strangeness(*strange):
    return Strangeness(np.zeros(len(strange)), np.zeros(len(strange)), np.array(strange, dtype=bool))


@pytest.fixture(scope="module")
def calibration():
    return judging.fit(*judged.drawn(400, sure=2.0))


@pytest.mark.parametrize("images", [10, 30, 400])
def test_plain_data_give_the_same_again_to_the_last_bit(images):
    fitted = judging.fit(*judged.drawn(images, sure=2.0))
    assert fitted.images == images
    assert bool(fitted.by_class) == (images == 400)
    assert [one.rank is None for one in fitted.thresholds] == [images < 22, images < 45]
    assert Calibration.parse(json.loads(json.dumps(asdict(fitted)))) == fitted


@pytest.mark.parametrize(
    ("change", "error"), [({"images": ...}, KeyError), ({"thresholds": [{"level": 1}]}, TypeError)]
)
def test_plain_data_of_another_form_are_refused(calibration, change, error):
    values = asdict(calibration) | change
    values = {name: value for name, value in values.items() if value is not ...}
    with pytest.raises((error, TypeError)):
        Calibration.parse(values)


def test_new_images_are_judged_where_only_numpy_is_installed(calibration):
    logits, _ = judged.drawn(80, seed=1, sure=2.0)
    features = np.random.default_rng(0).normal(size=(80, 8)) + 2
    reference = outliers.normalized(features)
    known = outliers.fit(reference, reference, logits, held_out=False)
    given = {"calibration": asdict(calibration), "outliers": asdict(known)}
    text = json.dumps(given | {"logits": logits.tolist(), "features": features.tolist()})
    run = subprocess.run([sys.executable, "-c", ALONE], input=text, capture_output=True, text=True, check=True)
    here = judging.judge(logits, calibration, outliers.judge(known, reference, features, logits))
    assert json.loads(run.stdout) == [here.probabilities.tolist(), here.sets[0.9].tolist(), here.ask.tolist()]


def test_the_sets_cover_what_they_promise_and_grow_with_the_level(calibration):
    logits, labels = judged.drawn(4000, seed=1, sure=2.0)
    judgment = judging.judge(logits, calibration)
    for sets in (judgment.sets, judgment.by_class):
        assert list(sets) == [0.9, 0.95]
        assert (sets[0.9] <= sets[0.95]).all()
        for level, members in sets.items():
            assert members[np.arange(4000), labels].mean() > level
        assert 1 < sets[0.9].sum(1).mean() < 4
    np.testing.assert_allclose(judgment.probabilities, softmax(logits / calibration.temperature, axis=1))


def test_every_class_is_covered_by_sets_by_class_and_a_hard_one_is_not_by_those_of_all():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4000)
    # The network gives class 2 a seventh of the odds that it has.
    logits = 3 * np.eye(3)[labels] + rng.normal(size=(4000, 3)) - 2 * (np.arange(3) == 2)
    judgment = judging.judge(logits[1000:], judging.fit(logits[:1000], labels[:1000]))
    rows, own = np.arange(3000), labels[1000:]
    assert judgment.sets[0.9][rows, own][own == 2].mean() < 0.88
    assert all(judgment.by_class[0.9][rows, own][own == one].mean() > 0.88 for one in range(3))


def test_several_classes_in_the_set_of_90_percent_or_a_strange_image_ask(calibration):
    logits = np.array([[20.0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [20, 0, 0, 0, 0]])
    assert judging.judge(logits, calibration).ask.tolist() == [False, True, False]
    judgment = judging.judge(logits, calibration, strangeness(False, False, True))
    assert judgment.ask.tolist() == [False, True, True]
    assert judgment.strangeness.strange.tolist() == [False, False, True]


def test_without_calibration_images_nothing_is_promised_and_strange_images_alone_ask():
    logits, _ = judged.drawn(3)
    judgment = judging.judge(logits, None, strangeness(False, True, False))
    assert judgment.sets == judgment.by_class == {}
    np.testing.assert_allclose(judgment.probabilities, softmax(logits, axis=1))
    assert judgment.ask.tolist() == [False, True, False]
    assert not judging.judge(logits, None).ask.any()


def test_too_few_calibration_images_put_every_class_into_the_set_and_ask():
    judgment = judging.judge(judged.drawn(3)[0], judging.fit(*judged.drawn(21)))
    assert judgment.sets[0.9].all()
    assert judgment.ask.all()


def test_no_image_is_judged_without_an_error(calibration):
    reference = outliers.normalized(np.random.default_rng(0).normal(size=(30, 8)))
    known = outliers.fit(reference, reference, judged.drawn(30)[0], held_out=False)
    none = outliers.judge(known, reference, np.empty((0, 8)), np.empty((0, 5)))
    judgment = judging.judge(np.empty((0, 5)), calibration, none)
    assert judgment.probabilities.shape == judgment.sets[0.9].shape == (0, 5)
    assert judgment.ask.shape == none.distance.shape == (0,)


def test_logits_that_are_not_finite_calibrate_nothing_and_are_one_line():
    logits, labels = judged.drawn(30)
    logits[0] = np.inf
    with pytest.raises(InputError, match="logits: not finite for 1 of 30 images"):
        judging.fit(logits, labels)


def test_test_images_say_how_well_a_judgment_holds(calibration):
    logits, labels = judged.drawn(500, seed=1, sure=2.0)
    strange = strangeness(*(np.arange(500) < 10))
    judgment = judging.judge(logits, calibration, strange)
    found = assess(judgment, logits, labels, temperature=calibration.temperature)
    right = logits.argmax(1) == labels
    assert (found.images, found.error, found.strange) == (500, pytest.approx((~right).mean()), 0.02)
    assert found.asked == judgment.ask.mean()
    assert found.error_of_others == pytest.approx((~right)[~judgment.ask].mean())
    assert 0 < found.risk < found.error
    assert found.calibration_error == calibration_error(labels, logits)[0]
    assert found.calibration_error_after < found.calibration_error / 2
    assert found.nll_after == pytest.approx(-np.log(judgment.probabilities[np.arange(500), labels]).mean())
    assert found.calibration_error_by_chance == calibration_error_by_chance(logits / calibration.temperature)
    for one in found.sets:
        members = judgment.sets[one.level]
        assert one.coverage == members[np.arange(500), labels].mean()
        assert one.classes == members.sum(1).mean()


def test_without_calibration_an_assessment_has_no_sets_and_the_error_is_the_same_before_and_after():
    logits, labels = judged.drawn(100, sure=2.0)
    found = assess(judging.judge(logits, None), logits, labels, temperature=1.0)
    assert (found.sets, found.asked, found.strange) == ((), 0.0, 0.0)
    assert found.error_of_others == found.error
    assert found.calibration_error_after == found.calibration_error
