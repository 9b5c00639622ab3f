"""Published sets in whole runs: one that needs no download, and one that is downloaded once for all."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import miniatures
import pytest
from serving import Server, serving

from pipeline.datasets.fetching import CACHE_VARIABLE
from pipeline.datasets.sets import SETS

pytestmark = pytest.mark.slow
Ran = Callable[[str], list[str]]
ARCHIVE = "CUB_200_2011.tgz"
# As far as the packed images.
PREPARED = ["split@1", "preprocess"]


def record(clone: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((clone.root / "metrics/train/1/record.json").read_text(encoding="utf-8"))
    return found


def test_the_digits_run_without_a_download_whole_or_drawn_by_the_class(clone: Any, stages_ran: Ran) -> None:
    told = clone.typed("dvc exp run -S data=digits -S 'repeats=[1]'")
    assert "source" not in stages_ran(told)
    assert f"collect: scikit-learn's handwritten digits, {SETS['digits'].home}: {SETS['digits'].terms}" in told
    assert "collect: 1797 images in 10 classes" in told
    assert record(clone)["parts"] == {"train": 1258, "val": 0, "test": 539}
    assert SETS["digits"].citation in (clone.root / "metrics/report/index.html").read_text(encoding="utf-8")

    told = clone.typed(
        "dvc exp run -S data=digits -S 'repeats=[1]' -S 'papers.quick.data.split.per_class={train:20,test:50,val:0}'"
    )
    assert sorted(stages_ran(told)) == ["evaluate@1", "report", "split@1", "train@1", "validate"]
    assert record(clone)["parts"] == {"train": 200, "val": 0, "test": 500}
    assert record(clone)["recipe"]["data"]["split"]["per_class"] == {"train": 20, "test": 50, "val": 0}


def test_a_set_that_cannot_be_had_stops_the_run_before_anything_is_lost(clone: Any, stages_ran: Ran) -> None:
    before = clone.outputs()
    told = clone.run("dvc", "exp", "run", "-S", "data=cars", code=255)
    (line,) = [line for line in told.splitlines() if line.startswith("validate: error: ")]
    assert SETS["cars"].home in line
    assert line.endswith("and add -S archive=/path/to/that/folder")
    assert stages_ran(told) == ["validate"]
    clone.run("git", "checkout", "--", "params.yaml")
    clone.run("dvc", "checkout")
    assert clone.outputs() == before


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        state.give(f"/{ARCHIVE}", miniatures.cub()[ARCHIVE])
        yield state


def publish(clone: Any, server: Server) -> None:
    """Put the miniature's address, size and checksum in place of the set's own in a clone's code."""
    (download,) = SETS["cub200"].downloads
    content = miniatures.cub()[ARCHIVE]
    changes = {
        download.urls[0]: f"{server.url}/{ARCHIVE}",
        f"size={download.size}": f"size={len(content)}",
        download.md5: hashlib.md5(content).hexdigest(),
    }
    file = clone.root / "pipeline/datasets/sets.py"
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    clone.environment |= {"NO_PROXY": "127.0.0.1"}
    clone.commit()


def test_a_set_is_downloaded_once_for_clones_and_temporary_copies_and_not_at_all_beside_an_archive(
    clone: Any, server: Server, tmp_path: Path, stages_ran: Ran
) -> None:
    publish(clone, server)
    shutil.copytree(clone.root, tmp_path / "second", symlinks=True)
    second = type(clone)(tmp_path / "second", tmp_path)
    second.environment = dict(clone.environment)
    for one in (clone, second):
        one.environment[CACHE_VARIABLE] = str(tmp_path / "cache")

    told = clone.run("dvc", "exp", "run", "-S", "data=cub200", *PREPARED)
    assert "collect: 400 images in 200 classes" in told
    assert [asked.path for asked in server.asked] == [f"/{ARCHIVE}"]
    lines = (clone.root / "data/split/1.csv").read_text(encoding="utf-8").splitlines()
    assert sum(line.endswith(",train") for line in lines) == sum(line.endswith(",test") for line in lines) == 200

    told = second.run("dvc", "exp", "run", "--temp", "-S", "data=cub200", *PREPARED)
    assert "collect" in stages_ran(told)
    assert "collect: 400 images in 200 classes" in told
    assert len(server.asked) == 1

    (tmp_path / "birds.tgz").write_bytes(miniatures.cub()[ARCHIVE])
    second.environment[CACHE_VARIABLE] = str(tmp_path / "another cache")
    told = second.run("dvc", "exp", "run", "-S", "data=cub200", "-S", f"archive={tmp_path}/birds.tgz", *PREPARED)
    assert "collect: 400 images in 200 classes" in told
    assert len(server.asked) == 1

    clone.run("dvc", "exp", "run", "-S", "data=digits", *PREPARED)
    told = clone.run("dvc", "exp", "run", "-S", "data=cub200", *PREPARED)
    assert "collect" not in stages_ran(told)
    assert len(server.asked) == 1
