"""Too few held-out images: said with the way out, which is a command that may be run."""

import re
import shlex
from dataclasses import replace

import described
import pytest

from pipeline.bundles import held_out
from pipeline.commands import bundle


def few(images, *, labeled, classes=2, worth=None, kind="repeat"):
    """A bundle whose held-out images promise nothing."""
    thresholds = [
        {"level": level, "images": images, "rank": None, "score": 1.0, "worth": worth} for level in (0.9, 0.95)
    ]
    return replace(
        described.CALIBRATED,
        kind=kind,
        classes=tuple(map(str, range(classes))),
        calibration=described.CALIBRATED.calibration | {"images": images, "thresholds": thresholds},
        origin=replace(described.ORIGIN, images=labeled),
    )


@pytest.mark.parametrize(
    ("one", "counted", "way_out"),
    [
        (
            few(4, labeled=120),
            "4 images were held out to calibrate the bundle; to promise 90 % takes 22.",
            "--final`, which holds out 20 % of each class",
        ),
        (
            few(4, labeled=60),
            "4 images were held out",
            "--final --calibration 0.4`, which holds out 40 % of each class",
        ),
        # Rounded in each class, a fifth may be fewer.
        (few(4, labeled=110, classes=5), "4 images were held out", "--final --calibration 0.3`"),
        (few(4, labeled=24), "4 images were held out", "Of its 24 labeled images even half may be too few: label more"),
        # Of groups each image is worth less.
        (
            few(40, labeled=200, worth=10.0),
            "40 images that count as 10 (near duplicates and groups count once) were held out",
            "--final --calibration 0.5`",
        ),
        (
            few(4, labeled=120, kind="final"),
            "4 images were held out",
            "For a bundle that can tell, make it by `orbweaver bundle",
        ),
    ],
)
def test_a_set_of_every_class_is_said_with_how_to_hold_out_enough(one, counted, way_out):
    text = held_out.too_few(one)
    assert text.startswith(counted)
    assert way_out in text
    assert ("train with more validation images" in text) == ("`orbweaver" in text and one.kind != "final")
    for words in re.findall("`orbweaver bundle (.*?)`", text):
        assert bundle.command.make_context("bundle", shlex.split(words)).params["final"]


def test_nothing_is_said_where_the_set_promises_something_or_there_is_none():
    assert held_out.too_few(described.CALIBRATED) == held_out.too_few(described.REPEAT) == ""
