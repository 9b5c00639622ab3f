"""A bundle made, carried to another repository and loaded there, by the commands of docs/into-use.md."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from clones import Clone, ran

from pipeline.bundles import description

pytestmark = pytest.mark.slow
# Loads a bundle where nothing else than this may be imported, and prints the scores of the test images of a repeat.
LOADER = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "pydantic dvc mlflow scipy sklearn yaml ruamel pandas click jinja2".split():
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import csv
from pathlib import Path
import numpy as np
from pipeline.bundles.bundle import load
bundle = load(Path(sys.argv[1]), device="cpu")
evaluation = Path("metrics/evaluate/1")
with (evaluation / "predictions.csv").open(encoding="utf-8", newline="") as stream:
    files = [Path("data/collected/images", row["path"]) for row in csv.DictReader(stream)]
logits = bundle.run(np.stack([bundle.pixels(file) for file in files])).logits
print(np.array_equal(logits[0], np.load(evaluation / "logits.npy")), len(files))
"""


def said(clone: Clone) -> description.Description:
    file = clone.root / "models/bundle/bundle.json"
    return description.parse(file.read_bytes(), file)


def test_a_bundle_gives_evaluates_scores_where_little_is_installed_and_repro_leaves_it_alone(bundled: Clone) -> None:
    loaded = bundled.run(sys.executable, "-c", LOADER, "models/bundle")
    assert loaded.split()[0] == "True"
    again = bundled.run("dvc", "repro")
    assert ran(again) == []
    assert "models/dvc.yaml" not in again


def test_a_bundle_is_made_anew_for_another_network_alone(bundled: Clone) -> None:
    made = (bundled.root / "models/bundle/bundle.json").stat().st_mtime_ns
    bundled.typed("orbweaver bundle --repeat 2", put={"2": "1"})
    assert (bundled.root / "models/bundle/bundle.json").stat().st_mtime_ns == made
    told = bundled.run("orbweaver", "bundle", "--repeat", "2", code=1)
    assert told.splitlines()[-1] == "orbweaver: error: --repeat 2: the experiment has the repeats 1"
    assert (bundled.root / "models/bundle/bundle.json").stat().st_mtime_ns == made
    bundled.typed("orbweaver bundle --ensemble")
    assert said(bundled).kind == "ensemble"


def test_a_bundle_is_scored_on_new_photographs_beside_the_one_in_use(bundled: Clone) -> None:
    """The drawn spiders of its own test part stand for new ones, so that the scores are known."""
    root = bundled.root
    rows = (root / "metrics/evaluate/1/predictions.csv").read_text(encoding="utf-8").splitlines()[1:]
    for path, label in (row.split(",")[:2] for row in rows):
        file = root / "new" / label / Path(path).name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "data/collected/images" / path, file)
    printed = bundled.typed("orbweaver score models/bundle --photographs new")
    accuracy = json.loads((root / "metrics/evaluate/1/scores.json").read_text(encoding="utf-8"))["accuracy"]
    assert re.search(rf"^models/bundle +{len(rows)} .* {100 * accuracy:.2f} ", printed, re.MULTILINE)
    shutil.copytree(root / "models/bundle", root / "in-use")
    printed = bundled.typed("orbweaver score in-use models/bundle --photographs new")
    assert re.search(r"^in-use - models/bundle +no detectable difference +\+0\.0 ", printed, re.MULTILINE)


def test_a_final_network_has_seen_all_images_but_those_that_calibrate_it_and_has_no_score(clone: Clone) -> None:
    clone.typed("orbweaver bundle --final")
    one = said(clone)
    assert one.scores == {}
    assert [member.repeat for member in one.members] == [None]
    assert one.origin.parts["train"] + one.origin.parts["calibration"] == one.origin.images
    assert 0 < one.origin.parts["calibration"] < one.origin.parts["train"]
    assert not list((clone.root / ".dvc/tmp/checkpoints").glob("*"))
    clone.typed("orbweaver bundle --final", "--calibration 0")
    assert said(clone).origin.parts == {"train": one.origin.images, "calibration": 0}


def test_a_bundle_of_another_experiment_is_of_its_network_and_the_working_tree_stays(clone: Clone) -> None:
    clone.run("dvc", "exp", "run", "-n", "other", "-S", "lr=0.003")
    clone.run("git", "restore", ".")
    clone.run("dvc", "checkout", "--quiet")
    before = clone.outputs()
    told = clone.typed("orbweaver bundle EXPERIMENT", put={"EXPERIMENT": "other"})
    assert told.splitlines()[-1].startswith("bundle: models/bundle: repeat 1; ")
    assert said(clone).origin.settings["train"]["lr"] == 0.003
    assert clone.outputs() == before
    assert clone.run("git", "status", "--porcelain", "--untracked-files=no") == ""
    (stage,) = yaml.safe_load((clone.root / "models/dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    assert stage["frozen"] is True
    assert "deps" not in stage
    unknown = clone.run("orbweaver", "bundle", "nobody", code=1)
    assert "nobody: neither a DVC experiment nor a git revision" in unknown


def test_a_bundle_is_had_from_another_repository(bundled: Clone, tmp_path: Path) -> None:
    bundled.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    bundled.typed("git add models/dvc.yaml models/dvc.lock models/.gitignore")
    bundled.typed('git commit -m "A bundle"')
    bundled.typed("dvc push models/dvc.yaml")
    bundled.commit()
    other = Clone(tmp_path / "other", tmp_path)
    other.root.mkdir()
    other.run("git", "init", "--quiet")
    other.run("dvc", "init", "--quiet")
    # Nothing but the remote: the first repository's cache is away.
    (bundled.root / ".dvc/cache").rename(tmp_path / "away")
    repository = {"REPOSITORY": shlex.quote(str(bundled.root))}
    other.typed("dvc get REPOSITORY models/bundle", "--out got", put=repository)
    other.typed("dvc import REPOSITORY models/bundle", "--out imported", put=repository)
    for folder in ("got", "imported"):
        read = description.parse((other.root / folder / "bundle.json").read_bytes(), Path(folder))
        assert read == said(bundled)
        words = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
        assert subprocess.run(words, cwd=other.root / folder, check=False).returncode == 0
    assert json.loads((other.root / "got/bundle.json").read_text(encoding="utf-8"))["format"] == description.FORMAT
