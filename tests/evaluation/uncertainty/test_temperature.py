import judged
import numpy as np
import pytest
from scipy.special import softmax

from pipeline.core.errors import InputError
from pipeline.evaluation.predictions import calibration
from pipeline.evaluation.uncertainty import temperature


def scikit_learns(logits, labels):
    """The temperature that scikit-learn's probabilities tell."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Network(ClassifierMixin, BaseEstimator):
        def fit(self, logits, labels):
            self.classes_ = np.arange(logits.shape[1])
            return self

        def decision_function(self, logits):
            return logits

        def predict(self, logits):
            return logits.argmax(1)

    network = FrozenEstimator(Network().fit(logits, labels))
    fitted = CalibratedClassifierCV(network, method="temperature").fit(logits, labels)
    likely, other = np.log(fitted.predict_proba(logits[:1])[0, :2])
    return (logits[0, 0] - logits[0, 1]) / (likely - other)


@pytest.mark.parametrize("sure", [0.3, 1.0, 4.0])
def test_without_the_prior_the_temperature_is_that_of_scikit_learn(sure, monkeypatch):
    logits, labels = judged.drawn(300, sure=sure)
    expected = scikit_learns(logits, labels)
    assert temperature.fit(logits, labels) == pytest.approx(expected, rel=0.03)
    monkeypatch.setattr(temperature, "PRIOR_SD", np.inf)
    assert temperature.fit(logits, labels) == pytest.approx(expected, rel=1e-5)


def test_one_wrong_image_of_few_does_not_make_the_network_certain(monkeypatch):
    logits = np.array([[1.0, 0.0]] * 20 + [[1e-3, 0.0]])
    labels = np.array([0] * 20 + [1])
    assert 0.3 < temperature.fit(logits, labels) < 0.7
    monkeypatch.setattr(temperature, "PRIOR_SD", np.inf)
    assert temperature.fit(logits, labels) < 0.15


def test_a_network_that_is_too_sure_by_a_factor_gets_about_that_temperature():
    logits, labels = judged.drawn(4000, sure=3.0)
    assert temperature.fit(logits.astype(np.float32), labels) == pytest.approx(3.0, rel=0.1)


def test_the_calibration_error_falls_on_other_images_of_the_same_kind():
    logits, labels = judged.drawn(4000, sure=3.0)
    fitted = temperature.fit(logits[:1000], labels[:1000])
    before, after = (calibration(labels[1000:], logits[1000:] / one)[0] for one in (1.0, fitted))
    assert before > 0.1
    assert after < 0.04


def test_a_class_may_be_missing_among_the_calibration_images():
    logits, labels = judged.drawn(300, classes=3, sure=3.0)
    assert temperature.fit(logits[labels < 2], labels[labels < 2]) > 1


@pytest.mark.parametrize("images", [1, 30])
def test_without_a_wrong_image_the_probabilities_stay(images):
    labels = np.arange(images) % 3
    assert temperature.fit(np.eye(3)[labels], labels) == 1.0


def test_where_every_image_is_wrong_the_temperature_is_high(monkeypatch):
    labels = np.arange(30) % 3
    wrong = np.eye(3)[(labels + 1) % 3]
    assert 3 < temperature.fit(wrong, labels) < 6
    monkeypatch.setattr(temperature, "PRIOR_SD", np.inf)
    assert temperature.fit(wrong, labels) == pytest.approx(temperature.HIGHEST, rel=1e-3)


def test_probabilities_are_those_of_scipy_and_large_logits_do_not_overflow():
    logits, _ = judged.drawn(20, sure=500.0)
    ours = temperature.probabilities(logits.astype(np.float32), 2.5)
    np.testing.assert_allclose(ours, softmax(logits.astype(np.float32).astype(float) / 2.5, axis=1), rtol=1e-12)


def test_logits_that_are_not_finite_are_one_line():
    logits, labels = judged.drawn(20)
    logits[3, 1] = np.nan
    with pytest.raises(InputError, match=r"^logits: not finite for 1 of 20 images: training diverged; lower `lr`$"):
        temperature.fit(logits, labels)
