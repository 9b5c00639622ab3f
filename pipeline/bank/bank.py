"""The frozen bank: how well classifiers do on the features of several frozen networks, from training images alone."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.bank import features, nested
from pipeline.bank.features import Frozen, OpenImages
from pipeline.bank.folds import Examples, IntArray
from pipeline.core import digests, result_cache
from pipeline.evaluation.compare import statistics

RESULT = "result.json"


class Images(NamedTuple):
    """Training images.

    Attributes:
        sha256: of each image's file.
        labels: (n,) number of each image's class.
        groups: (n,) as `Examples` has them.
        open: packs those that are given by their places.
    """

    sha256: Sequence[str]
    labels: IntArray
    groups: IntArray
    open: OpenImages


class Result(NamedTuple):
    """The estimates of one frozen network.

    Attributes:
        backbone: its name.
        weights: where its values are from.
        images: how many.
        width: D, features an image.
        computed: how many images went through the network now.
        images_per_second: of the network, when it last computed some; decoding left out.
        feature_seconds: for all images at that speed.
        fit_seconds: of the classifiers, the choice of their strengths and their estimates, when they were computed.
        found: whether nothing was computed now.
        probes: the estimates, by the rows of `PROBES`, as `Estimate` has them.
    """

    backbone: str
    weights: str
    images: int
    width: int
    computed: int
    images_per_second: float
    feature_seconds: float
    fit_seconds: float
    found: bool
    probes: dict[str, dict[str, Any]]


def measured(frozen: Frozen, weights: str, images: Images) -> Result:
    """Return the estimates of each classifier on one network's features, from the store where they are in it.

    Args:
        frozen: the network.
        weights: where its values are from, in words.
        images: the training images, of which no other is touched.

    Raises:
        InputError: for too few images, see `folds.folds`.
    """
    backbone = frozen.settings.backbone
    made = features.features(frozen, images.sha256, images.open)
    examples = Examples(made.values, images.labels, images.groups)

    def write(file: Path) -> None:
        started = time.perf_counter()
        estimated = nested.as_data(nested.estimates(examples, name=backbone))
        content = {"seconds": round(time.perf_counter() - started, 2), "probes": estimated}
        file.write_text(json.dumps(content) + "\n", encoding="utf-8")

    file, found = result_cache.found_or_made(key(frozen, images), RESULT, write)
    content = json.loads(digests.read(file))
    return Result(
        backbone=backbone,
        weights=weights,
        images=len(images.sha256),
        width=made.values.shape[1],
        computed=made.computed,
        images_per_second=made.images_per_second,
        feature_seconds=round(len(images.sha256) / made.images_per_second, 2),
        fit_seconds=content["seconds"],
        found=found and not made.computed,
        probes=content["probes"],
    )


def is_measured(frozen: Frozen, images: Images) -> bool:
    """Return whether the store has the estimates."""
    with result_cache.held(key(frozen, images)) as place:
        return result_cache.is_whole(place, RESULT)


def key(frozen: Frozen, images: Images) -> str:
    """Return the name under which the estimates are kept."""
    return result_cache.key(
        "estimates",
        {
            # Versions and code, the classifiers' too, are part of it.
            "features": frozen.key(),
            # Makes the intervals, and no stage whose code is hashed there needs it.
            "statistics": digests.sha256(Path(statistics.__file__)),
            "images": list(images.sha256),
            "labels": images.labels.tolist(),
            "groups": images.groups.tolist(),
        },
    )
