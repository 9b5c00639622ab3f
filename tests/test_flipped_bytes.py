"""One wrong byte in each kind of file that a stage leaves: the stage that opens it names it, and writes nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from pipeline import tracking
from pipeline.assembly import bundling
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Folder
from pipeline.stages import evaluate, preprocess, report, split, train

READERS: dict[str, Callable[[], object]] = {
    "split": lambda: split.main(["1"]),
    "preprocess": preprocess.main,
    "train": lambda: train.main(["1"]),
    "evaluate": lambda: evaluate.main(["1"]),
    "report": report.main,
    "bundle": lambda: bundling.own_scores([repeats.read(Folder(Path()), 1)] * 2),
}
READ = {
    "data/collected/manifest.csv": ("split", "preprocess", "evaluate", "report"),
    "data/copies/groups.csv": ("train", "evaluate"),
    "data/copies/pairs.csv": ("split", "report"),
    "data/copies/search.json": ("report",),
    "data/collected/dataset.json": ("split", "report"),
    "data/collected/rejected.csv": ("report",),
    "data/collected/SHA256SUMS": ("report",),
    "data/collected/images": ("preprocess",),
    "data/split/1.csv": ("train", "evaluate"),
    "data/split/1.csv.sha256": ("train", "evaluate"),
    "data/packed/images.npy": ("train", "evaluate", "report"),
    "data/packed/index.csv": ("train", "evaluate", "report"),
    "data/packed/meta.json": ("train", "evaluate"),
    "data/packed/SHA256SUMS": ("train", "evaluate"),
    "models/source/weights.safetensors": ("train",),
    "models/source/source.json": ("train",),
    "models/source/SHA256SUMS": ("train",),
    "models/trained/1/weights.safetensors": ("evaluate",),
    "models/trained/1/model.json": ("evaluate",),
    "models/trained/1/SHA256SUMS": ("evaluate",),
    "metrics/train/1/history.csv": ("report",),
    "metrics/train/1/record.json": ("report",),
    "metrics/train/1/values.json": ("report",),
    "metrics/train/1/SHA256SUMS": ("report",),
    "metrics/runtime/1.json": ("report",),
    "metrics/runtime/1.json.sha256": ("report",),
    "metrics/evaluate/1/scores.json": ("report",),
    "metrics/evaluate/1/predictions.csv": ("report", "bundle"),
    "metrics/evaluate/1/pictures.json": ("report",),
    "metrics/evaluate/1/pictures.npz": ("report",),
    "metrics/evaluate/1/probe.json": ("report",),
    "metrics/evaluate/1/logits.npy": ("bundle",),
}
# A part of the file's length, the bit, and whether the file's time stays as it was, by which alone DVC would know.
FLIPS = ((0.0, 1, True), (0.3, 2, False), (0.6, 128, True), (1.0, 1, False))


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project in which all stages have run."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        tiny.draw_no_charts(patch)
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        tiny.enter(root, patch)
        tiny.copied(prepared, root)
        tiny.chain("train")
    return root


@pytest.fixture(autouse=True)
def project(finished: Path, narrow: None, uncharted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "try_publish", lambda files, **_: None)
    monkeypatch.chdir(finished)


def flip(file: Path, place: float, bit: int, *, keeps_time: bool) -> None:
    content, before = bytearray(file.read_bytes()), file.stat()
    content[round(place * (len(content) - 1))] ^= bit
    file.write_bytes(content)
    if keeps_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def state() -> dict[Path, tuple[int, int]]:
    """What would change if a stage wrote anything."""
    places = [file for name in ("data", "models", "metrics") for file in Path(name).rglob("*") if file.is_file()]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in places}


@pytest.mark.parametrize(("name", "stage"), [(name, stage) for name, stages in READ.items() for stage in stages])
def test_a_flipped_byte_is_named_by_the_stage_that_opens_the_file(name: str, stage: str, tmp_path: Path) -> None:
    file = Path(name)
    if file.is_dir():
        file = next(one for one in sorted(file.rglob("*")) if one.is_file())
    shutil.copy2(file, tmp_path / "whole")
    try:
        for place, bit, keeps_time in FLIPS:
            flip(file, place, bit, keeps_time=keeps_time)
            before = state()
            with pytest.raises(InputError) as caught:
                READERS[stage]()
            message = str(caught.value)
            # Which of the two is damaged is not known: both are named, and both brought back.
            assert "damaged" in message
            assert file.name in message.partition(";")[0]
            assert f"`rm -rf {'data/collected' if 'images/' in str(file) else ''}" in message
            assert "\n" not in message
            assert state() == before
            shutil.copy2(tmp_path / "whole", file)
    finally:
        shutil.copy2(tmp_path / "whole", file)


def test_every_kind_of_file_of_the_outputs_is_here(finished: Path) -> None:
    """What only people and MLflow read is left out: the report, and the sheet of images that `augmented.png` is."""
    made = {file.as_posix() for name in ("data", "models", "metrics") for file in Path(name).rglob("*")}
    read_by_none = {
        "metrics/evaluate/1/SHA256SUMS",
        "data/copies/SHA256SUMS",
        "data/recipe.yaml",
        "metrics/summary.json",
        "metrics/curves.csv",
    }
    kinds = {name for name in made if Path(name).is_file() and not name.startswith(("metrics/report", "data/coll"))}
    assert kinds - read_by_none == {name for name in READ if not name.startswith("data/coll")}
