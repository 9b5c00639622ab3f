"""From photographs to a report, a bundle and its predictions on a simulated GPU."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_gpu
import tiny
from bundle_files import write
from click.testing import CliRunner

from pipeline import tracking
from pipeline.bundles import bundle
from pipeline.commands import orbweaver
from pipeline.core import paths
from pipeline.datasets.prepared.manifest import Assigned, read
from pipeline.datasets.prepared.packed import Packed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle of what was trained on the GPU; the project is the place where this process is."""
    with pytest.MonkeyPatch.context() as patch, simulated_gpu.simulated_gpu():
        tiny.narrow(patch)
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        patch.setattr(tracking, "run_of", lambda key: "")
        root = tiny.enter(tmp_path_factory.mktemp("experiment"), patch)
        tiny.write_params({"data.split.val": 0.3}, device="cuda", attention="cbam", freeze="3b", regularizer="gca")
        tiny.chain()
        yield write(root / "bundle")


def run(*words: object) -> str:
    done = CliRunner().invoke(orbweaver, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def scores() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((paths.evaluation(1) / "scores.json").read_text(encoding="utf-8"))
    return content


def test_the_report_shows_where_the_network_looked(bundled: Path) -> None:
    assert json.loads((bundled / "bundle.json").read_text(encoding="utf-8"))["computation"]["device"] == "cuda"
    assert (paths.REPORT / "figures/explained.png").stat().st_size


def test_a_bundle_of_a_gpu_gives_the_same_scores_on_the_cpu(bundled: Path) -> None:
    images = Packed.open(paths.PACKED).images[:7]
    logits = [bundle.load(bundled, device=device).run(images).logits for device in ("cuda", "cpu")]
    np.testing.assert_array_equal(*logits)


def test_predictions_are_those_of_the_evaluation(bundled: Path, tmp_path: Path) -> None:
    tested = {one.path: one.label for one in read(paths.split_file(1), Assigned) if one.part == "test"}
    for path, label in tested.items():
        file = tmp_path / "new" / label / Path(path).name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths.IMAGES / path, file)
    out = tmp_path / "out.csv"
    run("predict", bundled, tmp_path / "new", "--device", "cuda", "--out", out, "--cam", tmp_path / "cam")
    with out.open(encoding="utf-8", newline="") as stream:
        predictions = list(csv.DictReader(stream))
    right = [row["class"] == Path(row["path"]).parent.name for row in predictions]
    assert len(right) == len(tested)
    assert np.mean(right) == pytest.approx(scores()["accuracy"])
    assert len(list((tmp_path / "cam").rglob("*.png"))) == len(tested)
    scored = run("score", bundled, "--photographs", tmp_path / "new", "--device", "cuda", "--json")
    assert json.loads(scored)["bundles"][0]["confusion"] == scores()["confusion"]


@pytest.mark.usefixtures("bundled")
def test_frozen_networks_are_compared() -> None:
    [one] = json.loads(run("bank", "--backbones", "resnet18", "--json"))["backbones"]
    assert one["backbone"] == "resnet18"
    assert all(0 <= share <= 1 for share in one["probes"]["logistic"]["parts"])
