from collections import Counter
from pathlib import Path

import pytest
import yaml

import pipeline
from pipeline import paths
from pipeline.datasets import manifest
from pipeline.datasets.manifest import Assigned, Row
from pipeline.datasets.splits import split
from pipeline.errors import InputError
from pipeline.stages.split import main

ROOT = Path(pipeline.__file__).parents[1]
ROWS = [Row(f"{label}/{n:02}", label, "", 1, f"{label}{n}", 1, 1, "RGB", "") for label in "ab" for n in range(20)]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["papers"]["quick"]["data"]["split"] = {"test": 0.25, "val": 0.2, "seed": 5}
    paths.PARAMS.write_text(yaml.safe_dump(values), encoding="utf-8")
    paths.COLLECTED.mkdir(parents=True)
    manifest.write(paths.MANIFEST, Row, ROWS)


def test_the_split_follows_the_parameters_and_the_repeat():
    main(["3"])
    assigned = manifest.read(Path("data/split/3.csv"), Assigned)
    assert assigned == split(ROWS, test=0.25, val=0.2, seed=5, repeat=3)
    assert Counter(entry.part for entry in assigned) == {"test": 10, "val": 6, "train": 24}


def test_each_repeat_has_its_own_file():
    main(["1"])
    main(["2"])
    assert paths.split_file(1).read_bytes() != paths.split_file(2).read_bytes()


@pytest.mark.parametrize("arguments", [[], ["one"], ["1", "2"], ["-1"], ["1.0"]])
def test_another_argument_than_a_repeat_is_refused(arguments):
    with pytest.raises(InputError, match=r"^'.*': give the number of one repeat$"):
        main(arguments)


def test_a_missing_manifest_names_what_makes_it():
    paths.MANIFEST.unlink()
    with pytest.raises(InputError, match=r"^data/collected/manifest.csv: no such file; dvc repro makes it$"):
        main(["1"])
    assert not Path("data/split").exists()
