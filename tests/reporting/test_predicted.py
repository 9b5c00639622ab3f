"""The page of predicted images: every picture inside, by class, the least sure first."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import browser
import described
import pytest
from browser import NEEDED, SIZES, barriers

sys.path.append(str(Path(__file__).parents[1] / "bundles"))

from applied import HOSTILE, photograph, said

from pipeline.bundles.pixels import decode
from pipeline.bundles.predictions import Guess, Prediction
from pipeline.reporting.predicted import ERRORS_SHOWN, Page

JPEG = b"\xff\xd8a picture"
chromium = browser.chromium


def one(path, label, probability):
    return Prediction(path=path, top=(Guess(label, probability), Guess("blue", 1 - probability)))


def written(folder, *predictions, thumbnail=JPEG, classes=("red", "green", "blue"), **options):
    page = Page(said(classes), **options)
    for prediction in predictions:
        page.add(prediction, b"" if prediction.error else thumbnail)
    page.write(folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def shown(text):
    return re.findall(r'<span class="file">([^<]*)</span>', text)


def test_pictures_are_by_class_and_the_least_sure_first(tmp_path):
    text = written(tmp_path, one("1", "green", 0.9), one("2", "red", 0.8), one("3", "green", 0.6), one("4", "red", 0.8))
    assert re.findall(r"<h2>(.*)</h2>", text) == ["red", "green"]
    assert shown(text) == ["2", "4", "3", "1"]
    assert text.count('src="data:image/jpeg;base64,') == 4
    assert 'alt="3: green with a probability of 60.0&nbsp;%"' in text
    assert "<title>4 images by predicted class</title>" in text
    assert "not calibrated" in text


@pytest.mark.parametrize(
    ("calibration", "told"),
    [
        (None, "Only strangeness is judged: 0 of them are marked <b>strange</b>"),
        (described.CALIBRATED.calibration, "A person should look at 0 of them: those marked <b>look</b>"),
    ],
    ids=["uncalibrated", "calibrated"],
)
def test_the_marks_that_are_explained_are_those_that_images_may_have(tmp_path, calibration, told):
    page = Page(replace(said(), calibration=calibration, outliers=described.CALIBRATED.outliers))
    page.add(one("1", "red", 0.9), JPEG)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert told in text
    assert "marked <b>strange</b>" in text
    assert ("<b>look</b>" in text) == (calibration is not None)
    assert ("no calibration to say which predictions are too uncertain" in text) == (calibration is None)


def test_of_many_images_the_least_sure_are_shown_and_the_page_says_so(tmp_path):
    text = written(tmp_path, *(one(str(n), ("red", "green")[n % 2], 0.5 + n / 100) for n in range(40)), pictures=10)
    assert shown(text) == ["0", "2", "4", "6", "8", "1", "3", "5", "7", "9"]
    assert "The 10 least sure of 40 images are shown" in text
    assert text.count("20 images, 5 of them shown.") == 2


def test_files_that_cannot_be_used_are_named_up_to_a_number(tmp_path):
    bad = [Prediction(path=f"{n}.jpg", error="empty: 0 bytes") for n in range(ERRORS_SHOWN + 7)]
    text = written(tmp_path, one("1", "red", 0.9), *bad)
    assert text.count("empty: 0 bytes") == ERRORS_SHOWN
    assert "and 7 more, in the table" in text
    assert "could not be used" not in written(tmp_path, one("1", "red", 0.9))
    assert "0 images by predicted class" in written(tmp_path, *bad)


def test_names_of_files_and_classes_are_text(tmp_path):
    names = [*HOSTILE.values(), "<b>&amp;"]
    text = written(tmp_path, *(one(name, '<i>"', 0.9) for name in names), classes=('<i>"', "blue"))
    assert "<img src=x" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;&amp;amp;" in text
    assert r"two\x0alines.jpg" in text
    assert r"caf\xe9.jpg" in text


@NEEDED
@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_reader_can_use_it(chromium, tmp_path, size, scheme):
    picture = decode(photograph(tmp_path / "1.png"), said().preprocessing, thumbnail=160).thumbnail
    names = [f"photographs of the garden/{n:03}.jpg" for n in range(20)]
    predictions = [one(name, ("red", "green")[n % 2], 0.5 + n / 50) for n, name in enumerate(names)]
    bad = [Prediction(path=name, error="empty: 0 bytes") for name in HOSTILE.values()]
    written(tmp_path, *predictions, *bad, thumbnail=picture)
    page = chromium.new_page(viewport={"width": SIZES[size], "height": 800}, color_scheme=scheme)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(one => (one.loading = 'eager', true))")
    page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
