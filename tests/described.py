"""A description of a bundle that no training stands behind."""

from dataclasses import replace
from typing import Any

from pipeline.bundles import bundle
from pipeline.bundles.description import (
    Computation,
    Description,
    Member,
    Origin,
    Preprocessing,
    Score,
    Structure,
)
from pipeline.core import imagenet

ORIGIN = Origin(
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
        **bundle.DECODING,
        resize="stretch",
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
ENSEMBLE = replace(
    REPEAT,
    kind="ensemble",
    members=tuple(Member(file=f"weights-{number}.safetensors", repeat=number) for number in (1, 2, 3)),
    scores={},
)


def of(**values: Any) -> Description:
    """The first repeat's, of another origin."""
    return replace(REPEAT, origin=replace(ORIGIN, **values))
