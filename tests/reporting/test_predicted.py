"""The page of predicted images: every picture inside, by class, the least sure first."""

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import browser
import described
import pytest
from browser import NEEDED, SIZES, barriers

sys.path.append(str(Path(__file__).parents[1] / "bundles"))

from applied import HOSTILE, photograph, said

from pipeline.bundles.pixels import decode
from pipeline.bundles.predictions import Doubt, Guess, Prediction
from pipeline.reporting.predicted import ERRORS_SHOWN, NAMED, UNFOLDED, Page

OUTLIERS = described.CALIBRATED.outliers
JPEG = b"\xff\xd8a picture"
chromium = browser.chromium


def one(path, label, probability):
    return Prediction(path=path, top=(Guess(label, probability), Guess("blue", 1 - probability)))


def judged(path, label, probability, *, strange=False, ask=False):
    doubt = Doubt({90: ("red", "blue")}, ask=ask or strange, strange=strange, distance=0.5, energy=0.5)
    return replace(one(path, label, probability), doubt=doubt)


def written(folder, *predictions, thumbnail=JPEG, classes=("red", "green", "blue"), outliers=None, **options):
    page = Page(replace(said(classes), outliers=outliers), **options)
    for prediction in predictions:
        page.add(prediction, b"" if prediction.error else thumbnail)
    page.write(folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def shown(text):
    return re.findall(r'<span class="file">([^<]*)</span>', text)


def test_pictures_are_by_class_and_the_least_sure_first(tmp_path):
    text = written(tmp_path, one("1", "green", 0.9), one("2", "red", 0.8), one("3", "green", 0.6), one("4", "red", 0.8))
    assert re.findall(r"<h2><bdi>(.*)</bdi></h2>", text) == ["red", "green"]
    assert shown(text) == ["2", "4", "3", "1"]
    assert text.count('src="data:image/jpeg;base64,') == 4
    assert 'alt="3: green with a probability of 60.0\N{NO-BREAK SPACE}%"' in text
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


def test_where_the_set_holds_every_class_the_page_says_so_and_marks_only_strange_images(tmp_path):
    calibrated = described.CALIBRATED
    thresholds = [one | {"images": 4, "rank": None} for one in calibrated.calibration["thresholds"]]
    calibration = calibrated.calibration | {"images": 4, "thresholds": thresholds}
    page = Page(replace(said(), calibration=calibration, outliers=calibrated.outliers))
    page.add(judged("1", "red", 0.9, strange=True), JPEG)
    page.add(judged("2", "red", 0.9, ask=True), JPEG)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Only strangeness is judged: 1 of them is marked <b>strange</b>" in text
    assert "too few held-out images to say which predictions are too uncertain" in text
    assert "4 images were held out to calibrate the bundle; to promise 90\N{NO-BREAK SPACE}% takes 22" in text
    assert "<code>orbweaver bundle --final" in text
    assert "<b>look</b>" not in text
    assert "A person should look at" not in text


def test_of_many_images_the_least_sure_are_shown_and_the_page_says_so(tmp_path):
    text = written(tmp_path, *(one(str(n), ("red", "green")[n % 2], 0.5 + n / 100) for n in range(40)), pictures=10)
    assert shown(text) == ["0", "2", "4", "6", "8", "1", "3", "5", "7", "9"]
    assert "The 10 least sure of 40 images are shown" in text
    assert text.count("20 images, 5 of them shown.") == 2


def test_strange_images_are_first_in_each_class_and_counted_beside_it(tmp_path):
    predictions = [
        judged("1", "red", 0.6),
        judged("2", "red", 0.9, strange=True),
        judged("3", "red", 0.5, ask=True),
        judged("4", "red", 0.8, strange=True),
        judged("5", "green", 0.7),
    ]
    text = written(tmp_path, *predictions, outliers=OUTLIERS)
    assert shown(text) == ["4", "2", "3", "1", "5"]
    assert re.findall("#class-.*><bdi>(.*)</a>", text) == ["red</bdi> (4, 2 strange)", "green</bdi> (1)"]
    assert '<p class="legend">4 images, 2 strange.</p>' in text
    assert "the strange images come first, then the least sure" in text
    text = written(tmp_path, *predictions, outliers=OUTLIERS, pictures=3)
    assert shown(text) == ["4", "2", "3"]
    assert "Of 5 images 3 are shown, strange ones before others and then the least sure" in text


@pytest.mark.parametrize(("strange", "told"), [(2, False), (3, True)])
def test_where_the_greater_part_is_strange_the_page_says_what_that_may_mean(tmp_path, strange, told):
    images = [judged(str(n), "red", 0.9, strange=n < strange) for n in range(4)]
    text = written(tmp_path, *images, outliers=OUTLIERS)
    assert ("may not be of what the network was trained on" in text) == told
    assert ("<b>The greater part is strange</b>, 3 of 4" in text) == told


def unbroken(text):
    """As a page has it, where a number stays on the line of its %."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def test_the_page_says_which_network_predicted_and_when(tmp_path):
    page = Page(described.REPEAT)
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    page.write(tmp_path / "page.html")
    facts = dict(re.findall("<dt>(.*)</dt><dd>(.*)</dd>", (tmp_path / "page.html").read_text(encoding="utf-8")))
    predicted = datetime.strptime(facts.pop("predicted"), "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    assert before <= predicted <= datetime.now(UTC)
    assert facts == {
        "network": "ResNet-18. It is the network of repeat 2, as that was tested.",
        "experiment": "eeeeeeeeeeee, recipe quick",
        "data set": "folder: 90 images, 2 classes",
        "test accuracy": "87.5 % of 27 test images, 95 % interval 80.0 % to 92.5 %".replace(
            " %", "\N{NO-BREAK SPACE}%"
        ),
    }


def test_the_page_of_a_final_network_says_that_nothing_tested_it(tmp_path):
    Page(described.FINAL).write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<dt>test accuracy</dt><dd>None of its own. No image is left to test it" in text
    assert "It was trained once more for this bundle" in text


def test_a_test_accuracy_without_an_interval_says_so(tmp_path):
    without = replace(described.REPEAT.scores["accuracy"], low=None, high=None)
    Page(replace(described.REPEAT, scores={"accuracy": without})).write(tmp_path / "page.html")
    assert "87.5\N{NO-BREAK SPACE}% of 27 test images, no interval" in (tmp_path / "page.html").read_text(
        encoding="utf-8"
    )


def test_classes_without_images_are_named_up_to_a_number(tmp_path):
    text = written(tmp_path, one("1", "red", 0.9), classes=("red", "<green>", "blue"))
    assert "No image was assigned to 2 of the 3 classes: <bdi>&lt;green&gt;</bdi>, <bdi>blue</bdi>.</p>" in text
    classes = ["red", *(f"class {n}" for n in range(NAMED + 5))]
    text = written(tmp_path, one("1", "red", 0.9), classes=classes)
    assert (
        f"No image was assigned to {NAMED + 5} of the {NAMED + 6} classes: <bdi>class 0</bdi>, <bdi>class 1</bdi>,"
        in text
    )
    assert f"<bdi>class {NAMED - 1}</bdi>, and 5 more.</p>" in text
    assert "No image was assigned" not in written(
        tmp_path, *(one(name, name, 0.9) for name in ("red", "green", "blue"))
    )


@pytest.mark.parametrize(("count", "folded"), [(UNFOLDED, False), (UNFOLDED + 1, True)])
def test_links_to_many_classes_are_folded(tmp_path, count, folded):
    classes = [f"class {n}" for n in range(count)]
    text = written(tmp_path, *(one(name, name, 0.9) for name in classes), classes=classes)
    assert ("<details><summary>" in text) == folded
    assert (f"The {count} classes with images</summary>" in text) == folded
    assert text.count('<a href="#class-') == count


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


def test_names_from_right_to_left_turn_nothing_round_that_stands_beside_them(tmp_path):
    name, other = "عنكبوت الذئب", "عنكبوت القفز"
    prediction = Prediction(path=f"{name}/1.png", top=(Guess(name, 0.9), Guess(other, 0.1)))
    text = written(tmp_path, prediction, classes=(name, other))
    assert f"><bdi>{name}</bdi> (1)</a>" in text
    assert f"<h2><bdi>{name}</bdi></h2>" in text
    assert f"then <bdi>{other}</bdi> 10.0" in text
    assert f"classes: <bdi>{other}</bdi>.</p>" in text
    assert re.search(r"\.file {[^}]*direction: ltr;[^}]*unicode-bidi: isolate", text)


@NEEDED
@pytest.mark.slow
def test_a_long_name_of_a_class_makes_the_page_no_wider_than_a_phone(chromium, tmp_path):
    name = "Araneus_diadematus_Clerck_1757_juvenile_female_from_the_north"
    written(tmp_path, one("1", name, 0.9), classes=(name, "blue"))
    page = chromium.new_page(viewport={"width": 360, "height": 800})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@NEEDED
@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_reader_can_use_it(chromium, tmp_path, size, scheme):
    picture = decode(photograph(tmp_path / "1.png"), said().preprocessing, thumbnail=160).thumbnail
    names = [f"photographs of the garden/{n:03}.jpg" for n in range(20)]
    predictions = [one(name, ("red", "green")[n % 2], 0.5 + n / 50) for n, name in enumerate(names)]
    bad = [Prediction(path=name, error="empty: 0 bytes") for name in HOSTILE.values()]
    many = [f"class {n}" for n in range(UNFOLDED + 1)]
    predictions += [one(name, name, 0.9) for name in many]
    classes = ("red", "green", "blue", *many)
    written(tmp_path, *predictions, *bad, thumbnail=picture, classes=classes)
    page = chromium.new_page(viewport={"width": SIZES[size], "height": 800}, color_scheme=scheme)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    assert barriers(page) == []
    page.locator("summary").click()
    assert page.get_by_role("link", name=many[-1]).is_visible()
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(one => (one.loading = 'eager', true))")
    page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
