"""A description of a bundle that no training stands behind."""

from dataclasses import asdict, replace
from typing import Any

from pipeline.bundles import contents
from pipeline.bundles.description import (
    BundleOrigin,
    Computation,
    Description,
    Member,
    Preprocessing,
    Score,
    Structure,
)
from pipeline.core import imagenet
from pipeline.evaluation.uncertainty.assessment import Assessment, SetsOnTest
from pipeline.evaluation.uncertainty.conformal import Threshold
from pipeline.evaluation.uncertainty.judging import Calibration
from pipeline.evaluation.uncertainty.outliers import Outliers

ORIGIN = BundleOrigin(
    experiment="e" * 64,
    recipe="quick",
    settings={"train": {"lr": 0.002}},
    repeats=(1, 2, 3),
    commit="c" * 40,
    changed=True,
    code="0" * 64,
    data_set="folder",
    data_sha256="d" * 64,
    images=90,
    parts={"train": 63, "val": 0, "test": 27},
    weights_origin="ImageNet, package of weights 1.0",
    weights_sha256="f" * 64,
    weights_license="Apache-2.0",
    versions={"torch": "2.9"},
    run="r" * 32,
)
REPEAT = Description(
    kind="repeat",
    members=(Member(file="weights.safetensors", repeat=2),),
    network=Structure(backbone="resnet18", attention="none", head="linear", options={"attention": {}, "head": {}}),
    classes=("cat", "dog"),
    preprocessing=Preprocessing(
        **contents.DECODING,
        resize="stretch",
        resampling="bilinear",
        image_size=96,
        crop_size=96,
        input_size=96,
        mean=imagenet.MEAN,
        std=imagenet.STD,
    ),
    computation=Computation(batch_size=32, precision="fp32", threads=1, device="cpu", device_model=""),
    scores={
        "accuracy": Score(value=0.875, low=0.8, high=0.925, images=27),
        "nll": Score(value=0.5, low=None, high=None, images=27),
    },
    experiment_scores={"accuracy": Score(value=0.85, low=0.75, high=0.95, images=81)},
    origin=ORIGIN,
)
FINAL = replace(REPEAT, kind="final", members=(Member(file="weights.safetensors", repeat=None),), scores={})
CALIBRATED = replace(
    REPEAT,
    calibration=asdict(
        Calibration(
            images=60,
            temperature=1.5,
            thresholds=(
                Threshold(level=0.9, images=60, rank=58, score=0.7),
                Threshold(level=0.95, images=40, rank=None, score=1.0),
            ),
            by_class=(),
            risk=0.1,
        )
    ),
    outliers=asdict(Outliers(neighbors=1, images=63, distance=0.5, energy=-2.0, from_images="calibration")),
    on_test=asdict(
        Assessment(
            images=27,
            error=0.125,
            asked=0.25,
            error_of_others=0.05,
            risk=0.03,
            strange=0.04,
            calibration_error=0.08,
            calibration_error_after=0.04,
            nll_after=0.4375,
            calibration_error_by_chance=0.06,
            sets=(
                SetsOnTest(level=0.9, coverage=0.93, classes=1.25),
                SetsOnTest(level=0.95, coverage=1.0, classes=2.0),
            ),
        )
    ),
)
ENSEMBLE = replace(
    REPEAT,
    kind="ensemble",
    members=tuple(Member(file=f"weights-{number}.safetensors", repeat=number) for number in (1, 2, 3)),
    scores={},
)


def of(**values: Any) -> Description:
    """The first repeat's, of another origin."""
    return replace(REPEAT, origin=replace(ORIGIN, **values))
