import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Rejected, Row
from pipeline.stages import collect


def _params(**changes: object) -> None:
    own = {f"data.{key}": changes.pop(key) for key in ("duplicates",) if key in changes}
    drawing = {"options.data.synthetic": {"images_per_class": 4, "size": 32, "seed": 0}}
    tiny.write_params(own | drawing, **changes)


def _collect() -> None:
    collect.main()


def _image(file: Path, seed: int, size: int = 8) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)).save(
        file, compress_level=1
    )


def _written() -> dict[str, bytes]:
    files = [file for file in Path("data").rglob("*") if file.is_file() and file != paths.RECIPE]
    return {file.as_posix(): file.read_bytes() for file in files}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    _params()


@pytest.fixture
def own(tmp_path):
    for number, name in enumerate(["cat/1.png", "cat/2.png", "l'été, ö/1.png", "l'été, ö/-2.png"]):
        _image(tmp_path / "own" / name, number)
    _params(data="folder", folder=str(tmp_path / "own"))
    return tmp_path / "own"


def test_the_drawn_set_is_collected(capsys):
    _collect()
    assert capsys.readouterr().out == "collect: 36 images in 9 classes\n"
    described = json.loads(paths.DATASET.read_text(encoding="utf-8"))
    assert (described["set"], described["title"]) == ("synthetic", "drawn spiders")
    assert (described["images"], described["rejected"], described["has_parts"]) == (36, 0, False)
    assert len(manifest.read(paths.MANIFEST, Row)) == 36
    assert manifest.read(paths.REJECTED, Rejected) == []


def test_a_second_run_writes_the_same():
    _collect()
    first = _written()
    _collect()
    assert _written() == first


def test_own_class_folders_are_collected(own):
    _collect()
    rows = manifest.read(paths.MANIFEST, Row)
    assert [row.path for row in rows] == ["cat/1.png", "cat/2.png", "l'été, ö/-2.png", "l'été, ö/1.png"]
    for row in rows:
        assert (paths.IMAGES / row.path).read_bytes() == (own / row.path).read_bytes()
    assert json.loads(paths.DATASET.read_text(encoding="utf-8")) == {
        "set": "folder",
        "title": "own",
        "classes": ["cat", "l'été, ö"],
        "images": 4,
        "rejected": 0,
        "has_parts": False,
        "tested": "",
        "own": True,
        "published": None,
    }


def test_own_parts_are_collected(own):
    for number, part in enumerate(["Train", "valid", "test"]):
        for label in ("cat", "dog"):
            _image(own / f"{part}/{label}/1.png", 10 * number + len(label) + ord(label[0]))
    for name in ("cat", "l'été, ö"):
        shutil.rmtree(own / name)
    _collect()
    parts = {row.path: row.part for row in manifest.read(paths.MANIFEST, Row) if row.label == "cat"}
    assert parts == {"Train/cat/1.png": "train", "valid/cat/1.png": "val", "test/cat/1.png": "test"}
    assert json.loads(paths.DATASET.read_text(encoding="utf-8"))["has_parts"]


def test_val_beside_train_is_collected_as_the_test_part_with_a_remark(own, capsys):
    for number, part in enumerate(["train", "val"]):
        for label in ("cat", "dog"):
            _image(own / f"{part}/{label}/1.png", 10 * number + len(label) + ord(label[0]))
    for name in ("cat", "l'été, ö"):
        shutil.rmtree(own / name)
    _collect()
    assert {row.path.split("/")[0]: row.part for row in manifest.read(paths.MANIFEST, Row)} == {
        "train": "train",
        "val": "test",
    }
    remark = "'val' is taken as the test part, as no folder is named test; it is opened once, after training"
    assert f"collect: note: {remark}" in capsys.readouterr().out.splitlines()
    assert json.loads(paths.DATASET.read_text(encoding="utf-8"))["tested"] == remark


def test_what_is_rejected_is_listed_and_the_run_goes_on(own, capsys):
    (own / "cat/3.jpg").touch()
    (own / "labels.csv").touch()
    _collect()
    assert capsys.readouterr().out.splitlines() == [
        "collect: 4 images in 2 classes",
        f"collect: 1 photograph cannot be used, all in {paths.REJECTED}, the first 'cat/3.jpg': empty: 0 bytes",
        "collect: passed over, no photographs: .csv 1",
    ]
    assert manifest.read(paths.REJECTED, Rejected) == [
        Rejected("cat/3.jpg", "empty: 0 bytes"),
        Rejected("labels.csv", "lies beside the class folders"),
    ]


def test_a_class_that_keeps_one_image_stops_the_run_and_leaves_nothing(own):
    (own / "cat/2.png").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"^class 'cat': 1 different usable of 2 files, 2 needed; 1 rejected, .* 0 bytes$"
    ):
        _collect()
    assert _written() == {}


def test_what_was_there_before_a_failing_run_stays(own):
    _collect()
    before = _written()
    (own / "cat/2.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"^class 'cat': 1 different usable"):
        _collect()
    assert _written() == before


def test_an_image_in_two_classes_is_refused_with_the_way_to_allow_it(own):
    shutil.copy(own / "cat/1.png", own / "l'été, ö/3.png")
    message = r"""^'cat/1.png' and "l'été, ö/3.png" are the same .*; remove one, or allow .*: -S defaults.data.dupli"""
    with pytest.raises(InputError, match=message):
        _collect()


def test_an_image_in_two_classes_can_be_allowed(own):
    shutil.copy(own / "cat/1.png", own / "l'été, ö/3.png")
    _params(data="folder", folder=str(own), duplicates="allow")
    _collect()
    assert len(manifest.read(paths.MANIFEST, Row)) == 5


def test_a_set_whose_papers_say_its_parts_is_taken_as_it_is():
    names = ("cub200", "caltech256_30", "animals10", "folder", "spiders", "synthetic")
    chosen = {name: tiny.experiment(data=name).data.on_leak for name in names}
    assert {name for name, choice in chosen.items() if choice == "allow"} == {"cub200", "caltech256_30"}
    assert set(chosen.values()) == {"allow", "refuse"}


def _run(stage: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"pipeline.stages.{stage}", *arguments],
        env=os.environ | {"PYTHONPATH": str(tiny.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def test_an_error_is_one_line_and_a_non_zero_exit(tmp_path):
    _params(data="folder", folder=str(tmp_path / "none"))
    with _run("collect") as process:
        out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 1)
    assert re.fullmatch(r"collect: error: folder: '.*/none' does not exist; give [^\n]*\n", err)


@pytest.fixture
def many(tmp_path):
    """Two classes, whose images take minutes to read."""
    for seed, label in enumerate(["cat", "dog"]):
        _image(tmp_path / f"{label}.png", seed, size=1500)
        (tmp_path / "many" / label).mkdir(parents=True)
        for number in range(1000):
            (tmp_path / f"many/{label}/{number}.png").symlink_to(tmp_path / f"{label}.png")
    _params(data="folder", folder=str(tmp_path / "many"))


def _wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the stage did not begin to write"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 0.0), (signal.SIGTERM, 2.0)])
def test_an_interrupted_run_stops_at_once_with_its_workers_and_leaves_nothing(many, number, after):
    with _run("collect") as process:
        _wait_for(lambda: any(Path("data").glob(".collected.partial/*/collected/images/*/*")))
        time.sleep(after)
        interrupted = time.monotonic()
        os.killpg(process.pid, number)
        # The pipes end when the last process that holds them has gone.
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - interrupted < 10
    assert process.returncode == 130
    assert (out, err) == ("", "collect: interrupted; `dvc repro` goes on from the last finished stage\n")
    assert list(Path("data").iterdir()) == [paths.RECIPE]


@pytest.mark.parametrize("edit", ["changed", "added", "removed"])
def test_photographs_that_change_while_they_are_read_are_refused(edit, own, monkeypatch):
    bring, file = collect.bringing.bring, own / ("cat/2.png" if edit == "added" else "cat/1.png")

    def edited(request):
        collected = bring(request)
        file.unlink() if edit == "removed" else file.write_bytes(b"another")
        # Of what is not read as an image, nothing follows.
        (own / ".DS_Store").touch()
        return collected

    monkeypatch.setattr(collect.bringing, "bring", edited)
    with pytest.raises(InputError, match=rf"^{file}: changed while it was read; the same command reads it as it is"):
        _collect()
    assert not paths.COLLECTED.exists()
