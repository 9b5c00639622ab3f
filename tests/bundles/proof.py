"""`make bundle-proof`: are a bundle and its exports equal to `evaluate`, for every backbone and for attention? A table.

Each network is trained for an epoch, its head alone, and tested by the stages; then a bundle is made, loaded, and given
the test photographs from their files, in another order, as are ONNX and pt2 files of it. With REAL_DATA they are
photographs, else drawn spiders.
"""

import contextlib
import csv
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tqdm import tqdm

sys.path.append(str(Path(__file__).parents[1]))
import tiny

from pipeline import tracking
from pipeline.assembly import bundling
from pipeline.bundles import bundle, exporting, originals, parity, running
from pipeline.core import paths
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks.backbones.table import BACKBONES

# Seen from where this process began, as it goes elsewhere.
REAL = Path(os.environ["REAL_DATA"]).resolve() if "REAL_DATA" in os.environ else None
ATTENTIONS = ("ecsm", "csca", "hierarchical")
# Batches that do not divide the test part.
CHANGES = {"train.batch_size": 16, "data.image_size": 96}


class Row(NamedTuple):
    """How many of a network's class scores are equal to the bit, and how its exports agree with it."""

    network: str
    images: int
    scores: int
    equal: int
    onnx: dict[str, Any]
    pt2: dict[str, Any]
    seconds: float


def of_network(backbone: str, attention: str) -> Row:
    """Train, test, bundle and compare one network, in a project that has the images."""
    settle(backbone=backbone, attention=attention)
    started = time.monotonic()
    tiny.chain("source")
    results = tracking.read(tracking.Folder(Path()))
    target = Path("bundle")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    bundling.write(target, "repeat", [1], results, Packed.open(paths.PACKED))
    return Row(f"{backbone}, {attention}", *compared(target), *exported(target), time.monotonic() - started)


def settle(**axes: str) -> None:
    """Write params.yaml and what it resolves to."""
    images = {"data": "folder", "folder": str(REAL / "clothing10")} if REAL else {}
    head = {"head": "linear"} if axes.get("backbone") == "vit_b_16" else {}
    tiny.write(tiny.values(CHANGES, freeze="1", weights="none", **images, **axes, **head))


@contextlib.contextmanager
def project() -> Iterator[None]:
    """Be in a project of its own that has the images, which are the same for all networks."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        tiny.draw_no_charts(patch)
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        patch.setattr(tracking, "run_of", lambda key: "")
        tiny.enter(Path(folder) / "project", patch)
        settle()
        tiny.chain("collect", "preprocess")
        yield


def compared(folder: Path) -> tuple[int, int, int]:
    """Return the numbers of test photographs, of their class scores, and of those that are equal to the bit."""
    with (paths.evaluation(1) / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        files = [paths.IMAGES / row["path"] for row in csv.DictReader(stream)]
    logits = np.load(paths.evaluation(1) / "logits.npy")
    order = np.random.default_rng(0).permutation(len(files))
    loaded = bundle.load(folder, device="cpu")
    own = loaded.run(np.stack([loaded.pixels(files[place]) for place in order])).logits[0]
    return len(files), logits.size, int((own == logits[order]).sum())


def exported(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how an ONNX and a pt2 file of the bundle agree with it."""
    loaded = bundle.load(folder, device="cpu")
    module = exporting.module(loaded)
    exporting.write_onnx(module, Path("model.onnx"), {})
    exporting.write_pt2(module, Path("model.pt2"), {})
    models = {"onnx": running.onnx(Path("model.onnx")), "pt2": running.pt2(Path("model.pt2"))}
    photographs = originals.of_part(loaded.description, "test")
    given = parity.run(loaded, models, photographs)
    classes = loaded.description.classes
    onnx, pt2 = (parity.agreement(given.bundle, given.models[name], photographs, classes) for name in models)
    return onnx, pt2


def differs(one: dict[str, Any]) -> bool:
    """Return whether too few photographs get the bundle's class."""
    return bool(one["equal_percent"] < parity.LEAST_EQUAL)


def agreeing(one: dict[str, Any]) -> str:
    """Return how many classes are equal, and the largest difference of a probability."""
    return f"{one['equal']} of {one['photographs']}, {one['largest_gap']:.1e}"


def main() -> None:
    """Print the table, a row as soon as it is there; the status is 1 where a score or an export's class differs."""
    cases = [(name, "none") for name in BACKBONES] + [("resnet50", attention) for attention in ATTENTIONS]
    print("| network | class scores | equal to the bit | ONNX: equal classes, gap | pt2: equal classes, gap |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    failed = False
    with project():
        for case in tqdm(cases, disable=None):
            with contextlib.redirect_stdout(sys.stderr):
                row = of_network(*case)
            tqdm.write(f"| {row.network} | {row.scores} | {row.equal} | {agreeing(row.onnx)} | {agreeing(row.pt2)} |")
            sys.stdout.flush()
            failed |= row.equal != row.scores or differs(row.onnx) or differs(row.pt2)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
