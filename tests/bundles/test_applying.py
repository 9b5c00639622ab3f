"""A bundle is applied to any number of files: in their order, in batches, whatever files are among them."""

import csv
import json
import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from applied import COLORS, Colors, photograph, untrained
from bundle_files import write
from PIL import Image
from scipy.special import softmax
from test_bad_images import REFUSED
from test_bundle import NOT_NEEDED, of_test

from pipeline.bundles import applying, bundle
from pipeline.bundles.pixels import decode
from pipeline.datasets.decoding import parallel
from pipeline.evaluation.uncertainty import temperature
from pipeline.evaluation.uncertainty.judging import Judgment
from pipeline.evaluation.uncertainty.outliers import Strangeness

RED, GREEN, BLUE = (250, 10, 20), (10, 250, 20), (20, 10, 250)


def applied(loaded, names, **options):
    with applying.apply(loaded, [str(name) for name in names], **({"top": 3} | options)) as batches:
        return [one for batch in batches for one in batch]


def test_each_file_has_its_prediction_in_the_order_in_which_files_are_given(tmp_path):
    colors = {"c": BLUE, "a": RED, "b": GREEN}
    files = [photograph(tmp_path / f"{name}.png", color) for name, color in colors.items()]
    found = [one.prediction for one in applied(Colors(), files)]
    assert [one.path for one in found] == [str(file) for file in files]
    assert [one.label for one in found] == ["blue", "red", "green"]
    assert [guess.label for guess in found[0].top] == ["blue", "red", "green"]
    scores = np.array([20, 10, 250]) / 64
    assert found[0].probability == pytest.approx(softmax(scores)[2], abs=1e-12)
    assert math.fsum(guess.probability for guess in found[0].top) == pytest.approx(1)


def test_at_most_as_many_classes_are_said_as_are_asked_for(tmp_path):
    (one,) = applied(Colors(), [photograph(tmp_path / "1.png")], top=2)
    assert [guess.label for guess in one.prediction.top] == ["red", "blue"]


def test_of_several_networks_probabilities_are_averaged(tmp_path):
    (one,) = applied(Colors(networks=2), [photograph(tmp_path / "1.png", RED)])
    scores = np.array(RED) / 64
    assert one.prediction.probability == pytest.approx(np.mean([softmax(scores)[0], softmax(2 * scores)[0]]), abs=1e-12)


def test_batches_are_full_of_images_where_bad_files_are_among_them(tmp_path):
    bad = tmp_path / "bad.png"
    bad.touch()
    good = [photograph(tmp_path / f"{number}.png") for number in range(9)]
    loaded = Colors(batch_size=4)
    found = applied(loaded, [bad, *good[:3], bad, *good[3:], bad])
    assert loaded.batches == [4, 4, 1]
    assert [bool(one.prediction.error) for one in found] == [True, *3 * [False], True, *6 * [False], True]
    assert found[0].prediction.error == "empty: 0 bytes"
    assert found[0].prediction.top == ()
    assert found[0].pixels is None


def test_many_bad_files_do_not_wait_in_memory_for_a_batch_to_fill(tmp_path):
    bad = tmp_path / "bad.png"
    bad.touch()
    with applying.apply(Colors(batch_size=4), [str(bad)] * 100, top=1) as batches:
        assert max(len(batch) for batch in batches) <= 8


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_cannot_be_used_has_a_reason_in_one_line_and_ends_nothing(tmp_path, kind):
    REFUSED[kind].make(tmp_path / "1.jpg")
    found = decode(tmp_path / "1.jpg", Colors().description.preprocessing)
    assert found.pixels is None
    assert found.error.isprintable()
    assert found.error


def test_a_small_picture_is_made_where_it_is_asked_for_with_the_shape_of_the_image(tmp_path):
    photograph(tmp_path / "1.png")
    assert decode(tmp_path / "1.png", Colors().description.preprocessing).thumbnail == b""
    Image.new("RGB", (400, 100)).save(tmp_path / "2.jpg")
    small = decode(tmp_path / "2.jpg", Colors().description.preprocessing, thumbnail=40)
    assert small.pixels.shape == (3, 8, 8)
    with Image.open(BytesIO(small.thumbnail)) as image:
        assert (image.format, image.size) == ("JPEG", (40, 10))


class Waiting(Colors):
    """Networks that compute the first batch until they are told to stop."""

    def __init__(self):
        super().__init__(batch_size=4)
        self.computing, self.done = threading.Event(), threading.Event()

    def run(self, images, **options):
        self.computing.set()
        assert self.done.wait(60)
        result = super().run(images, **options)
        self.computing.clear()
        return result


def test_the_next_images_are_decoded_while_the_networks_compute(tmp_path, monkeypatch):
    loaded, decoded_meanwhile = Waiting(), []

    def decode_watched(file, **options):
        if number := int(file.stem) // 4:
            decoded_meanwhile.append(loaded.computing.wait(60))
        if number == 1 and len(decoded_meanwhile) == 4:
            loaded.done.set()
        return decode(file, **options)

    monkeypatch.setattr(applying, "decode", decode_watched)
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    files = [photograph(tmp_path / f"{number}.png") for number in range(8)]
    assert len(applied(loaded, files)) == 8
    assert decoded_meanwhile == [True] * 4


def test_the_networks_rest_while_a_batch_is_used(tmp_path):
    loaded = Colors(batch_size=4)
    files = [str(photograph(tmp_path / f"{number}.png")) for number in range(12)]
    with applying.apply(loaded, files, top=1) as batches:
        for number, _ in enumerate(batches, 1):
            time.sleep(0.02)
            assert len(loaded.batches) == number


@pytest.mark.slow
def test_workers_decode_while_the_networks_compute_and_give_the_same(tmp_path, monkeypatch):
    files = [photograph(tmp_path / f"{number}.png", (number, 2 * number, 99)) for number in range(30)]
    alone = [one.prediction for one in applied(Colors(), files)]
    monkeypatch.setattr(parallel, "_SECONDS_ALONE", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    assert [one.prediction for one in applied(Colors(), files)] == alone


def test_of_equal_probabilities_the_first_class_is_predicted(tmp_path):
    (one,) = applied(Colors(), [photograph(tmp_path / "1.png", (90, 90, 90))])
    assert [guess.label for guess in one.prediction.top] == list(COLORS)


@pytest.mark.slow
def test_the_test_images_get_the_probabilities_of_evaluate_in_any_order_and_beside_others(bundled: Path) -> None:
    files, logits = of_test()
    order = np.random.default_rng(1).permutation(len(files))
    bad = bundled / "bundle.json"
    names = [files[order[0]], bad, *(files[place] for place in order[1:])]
    loaded = bundle.load(bundled, device="cpu")
    calibrated = [one.prediction for one in applied(loaded, names) if not one.prediction.error]
    expected = softmax(logits.astype(np.float64) / loaded.certainty.calibration.temperature, axis=1).max(1)
    assert [one.probability for one in calibrated] == pytest.approx(expected[order], abs=1e-15)
    own = replace(loaded, certainty=None)
    found = [one.prediction for one in applied(own, names) if not one.prediction.error]
    with Path("metrics/evaluate/1/predictions.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [f"{one.probability:.6f}" for one in found] == [f"{float(rows[place]['confidence']):.6f}" for place in order]
    assert [one.label for one in found] == [rows[place]["predicted"] for place in order]


@pytest.mark.slow
def test_an_ensemble_has_the_mean_of_its_networks(project: Path, tmp_path: Path) -> None:
    files, logits = of_test()
    loaded = bundle.load(write(tmp_path / "ensemble", "ensemble"), device="cpu")
    images = np.stack([loaded.pixels(file) for file in files])
    both = loaded.run(images).logits
    assert np.array_equal(both[0], logits)
    mean = np.mean([softmax(one.astype(np.float64), axis=1) for one in both], axis=0)
    found = [one.prediction for one in applied(loaded, files)]
    assert [one.probability for one in found] == pytest.approx(mean.max(1), abs=1e-15)


ENGINE = """
import importlib.abc, json, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from pipeline.bundles import applying, bundle, inputs, sorting, tables
loaded = bundle.load(Path(sys.argv[1]), device="cpu")
names = inputs.names(sys.argv[2:], [])
with tables.written(Path("out.json"), 1) as write, applying.apply(loaded, names, top=1) as batches:
    for batch in batches:
        for one in batch:
            write(one.prediction)
            folders = sorting.Sorted(Path("sorted"), loaded.description.classes)
            folders.copy(Path(one.prediction.path), one.prediction.label)
"""


@pytest.mark.slow
def test_it_works_where_only_torch_pillow_and_numpy_are_installed_and_in_any_folder(tmp_path: Path) -> None:
    folder = untrained(tmp_path / "bundle")
    images = [str(photograph(tmp_path / f"{number}.png", (9 * number, 200, 90))) for number in range(3)]
    done = subprocess.run(
        [sys.executable, "-c", ENGINE.format(refused=set(NOT_NEEDED)), str(folder), *images],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(applying.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["path"] for row in rows] == images
    expected = [one.prediction for one in applied(bundle.load(folder, device="cpu"), images)]
    assert [row["probability"] for row in rows] == [round(one.probability, 6) for one in expected]
    assert len([one for one in (tmp_path / "sorted").rglob("*") if one.is_file()]) == 3


class Judge:
    """Stands for what a bundle judges by: an image is strange if it is green."""

    def judge(self, logits: np.ndarray, features: np.ndarray) -> Judgment:
        strange = features.argmax(axis=1) == 1
        shares = temperature.probabilities(logits, 2.0)
        members = shares > 0.2
        strangeness = Strangeness(features[:, 1], -features[:, 0], strange)
        return Judgment(shares, {0.9: members}, {}, strangeness, strange | (members.sum(axis=1) > 1))


def test_what_a_bundle_judges_by_decides_probabilities_sets_and_who_is_asked(tmp_path: Path) -> None:
    files = [photograph(tmp_path / "red.png", RED), photograph(tmp_path / "green.png", (0, 250, 0))]
    red, green = (one.prediction for one in applied(Colors(certainty=Judge()), files))
    assert (red.label, green.label) == ("red", "green")
    assert red.doubt.sets[90][0] == "red"
    assert (green.doubt.ask, green.doubt.strange) == (True, True)
    assert red.doubt.strange is False
    assert red.doubt.distance < green.doubt.distance
    (plain,) = (one.prediction for one in applied(Colors(), files[:1]))
    assert plain.doubt is None
    assert red.probability < plain.probability
