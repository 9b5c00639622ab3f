"""Published sets through DVC: one that needs no download, and one that is downloaded once for all."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import miniatures
import pytest
from clones import Clone, ran, stages
from serving import Server, serving

from pipeline.datasets.collect.sets import SETS
from pipeline.datasets.download.cache import CACHE_VARIABLE

pytestmark = pytest.mark.slow
ARCHIVE = "CUB_200_2011.tgz"


def test_digits_leave_the_weights_as_they_are_and_drawing_by_the_class_leaves_the_images(stubbed: Clone) -> None:
    trained = " ".join(stages("train"))
    told = stubbed.typed("dvc exp run -S data=digits -S 'repeats=[1]'", trained)
    assert sorted(ran(told)) == sorted(stages("validate", "collect", "copies", "split", "preprocess", "train"))
    told = stubbed.typed(
        "dvc exp run -S data=digits -S 'repeats=[1]' -S 'defaults.data.split.per_class={train:20,test:50,val:0}'",
        trained,
    )
    assert sorted(ran(told)) == sorted(stages("validate", "split", "train"))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        state.give(f"/{ARCHIVE}", miniatures.cub()[ARCHIVE])
        yield state


def publish(clone: Clone, server: Server) -> None:
    """Put the miniature's address, size and checksum in place of the set's own in a clone's code."""
    (download,) = SETS["cub200"].downloads
    content = miniatures.cub()[ARCHIVE]
    changes = {
        download.urls[0]: f"{server.url}/{ARCHIVE}",
        f"size={download.size}": f"size={len(content)}",
        download.md5: hashlib.md5(content).hexdigest(),
    }
    file = clone.root / "pipeline/datasets/collect/sources/lists.py"
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    clone.environment |= {"NO_PROXY": "127.0.0.1"}


def test_a_set_is_downloaded_once_for_clones_and_temporary_copies_and_not_at_all_beside_an_archive(
    stubbed: Clone, server: Server, tmp_path: Path
) -> None:
    publish(stubbed, server)
    stubbed.unstub("collect", "copies", "split")
    shutil.copytree(stubbed.root, tmp_path / "second", symlinks=True)
    second = Clone(tmp_path / "second", tmp_path)
    second.environment = dict(stubbed.environment)
    for one in (stubbed, second):
        one.environment[CACHE_VARIABLE] = str(tmp_path / "cache")

    told = stubbed.run("dvc", "exp", "run", "-S", "data=cub200", *stages("split"))
    assert "collect: 400 images in 200 classes" in told
    assert [asked.path for asked in server.asked] == [f"/{ARCHIVE}"]
    lines = (stubbed.root / "data/split/1.csv").read_text(encoding="utf-8").splitlines()
    assert sum(line.endswith(",train") for line in lines) == sum(line.endswith(",test") for line in lines) == 200

    told = second.run("dvc", "exp", "run", "--temp", "-S", "data=cub200", "collect")
    assert "collect" in ran(told)
    assert "collect: 400 images in 200 classes" in told
    assert len(server.asked) == 1

    (tmp_path / "birds.tgz").write_bytes(miniatures.cub()[ARCHIVE])
    second.environment[CACHE_VARIABLE] = str(tmp_path / "another cache")
    told = second.run("dvc", "exp", "run", "-S", "data=cub200", "-S", f"archive={tmp_path}/birds.tgz", "collect")
    assert "collect: 400 images in 200 classes" in told
    assert len(server.asked) == 1

    assert "collect" in ran(stubbed.run("dvc", "exp", "run", "-S", "data=synthetic", "collect"))
    told = stubbed.run("dvc", "exp", "run", "-S", "data=cub200", "collect")
    assert "collect" not in ran(told)
    assert len(server.asked) == 1
