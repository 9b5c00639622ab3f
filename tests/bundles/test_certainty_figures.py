"""The figures of a card have their numbers in words, and the same bytes for the same images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import draw_no_charts

from pipeline.assembly import certainty_figures
from pipeline.bundles.card import Figure
from pipeline.evaluation.uncertainty import judging
from pipeline.evaluation.uncertainty.assessment import assess
from pipeline.evaluation.uncertainty.judging import Calibration
from pipeline.reporting import figures

LABELS = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
# Sure of the first five, three of which are right; right of the others, of which it is less sure.
WRONG, RIGHT = np.log([[0.05, 0.95]]), np.log([[0.95, 0.05]])
LOGITS = np.vstack([*[RIGHT] * 3, *[WRONG] * 2, np.log([[0.7, 0.3]] * 3), np.log([[0.3, 0.7]] * 2)])
FITTED = replace(judging.fit(LOGITS, LABELS), images=60, temperature=2.0)


def drawn(folder: Path, fitted: Calibration | None) -> tuple[Figure, ...]:
    judgment = judging.judge(LOGITS, fitted)
    assessment = assess(judgment, LOGITS, LABELS, temperature=fitted.temperature if fitted else 1.0)
    return certainty_figures.write(folder, judgment, LOGITS, LABELS, assessment=assessment, fitted=fitted)


def test_words_have_the_numbers_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_no_charts(monkeypatch)
    reliability, risk = drawn(tmp_path, FITTED)
    # The root of 0.95 and 0.7 over that of the other class: 0.813 and 0.604 is what a temperature of 2 leaves.
    assert "Calibration error before: 32.5 %; what counts most: 5 predictions of 95.0 % mean" in reliability.alt
    after = "Calibration error after temperature scaling: 30.5 %; what counts most: 5 predictions of 60.4 % mean"
    assert after in reliability.alt
    assert "of the 10 test images, on which nothing was fitted" in reliability.caption
    assert "A point is at the mean confidence of its bin" in reliability.caption
    assert "a bin of few predictions is mostly chance" in reliability.caption
    assert "the temperature, 2, which was fitted on the 60 held-out images" in reliability.caption
    assert "Wrong are 20.0 % where a person looks at none; of the others 22.2 % at 10 %, 25.0 % at 20 %, 40.0 %" in (
        risk.alt
    )
    assert {file.name for file in tmp_path.iterdir()} == {reliability.file, risk.file}


def test_what_is_not_calibrated_is_drawn_once_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_no_charts(monkeypatch)
    reliability, risk = drawn(tmp_path, None)
    assert reliability.alt.count("Calibration error: 32.5 %") == 1
    assert reliability.caption.endswith("These probabilities are not calibrated.")
    assert risk.alt.endswith("as this network asks, 20.0 % at 0.0 %.")
    assert risk.caption.endswith("a person looks where the image is strange.")


def test_where_every_image_is_asked_about_no_point_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points: list[object] = []
    monkeypatch.setattr(figures, "risk_coverage", lambda _, asked, *__: points.append(asked) or b"")
    monkeypatch.setattr(figures, "reliability_diagrams", lambda *_: b"")
    judgment = replace(judging.judge(LOGITS, FITTED), ask=np.ones(len(LABELS), bool))
    assessment = assess(judgment, LOGITS, LABELS, temperature=2.0)
    _, risk = certainty_figures.write(tmp_path, judgment, LOGITS, LABELS, assessment=assessment, fitted=FITTED)
    assert points == [None]
    assert risk.alt.endswith("as this network asks, none is left to it.")
    assert "The network's own rule has no point" in risk.caption


@pytest.mark.slow
@pytest.mark.parametrize("fitted", [None, FITTED], ids=["uncalibrated", "calibrated"])
def test_the_same_images_give_the_same_files_which_are_light(tmp_path: Path, fitted: Calibration | None) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
        drawn(folder, fitted)
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()
        assert file.read_bytes().startswith(b"\x89PNG")
        assert file.stat().st_size < 100_000
