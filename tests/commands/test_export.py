"""`orbweaver export`: what it refuses at once, and a bundle of a tiny project in both formats."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from click.testing import CliRunner, Result

from pipeline.bundles import contents, exporting, originals, parity
from pipeline.commands import export
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.stages import bundle as stage


def called(*words: object) -> Result:
    return CliRunner().invoke(export.command, [str(word) for word in words])


def refusal(*words: object) -> str:
    result = called(*words)
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    assert "no bundle" in refusal(tmp_path, "--to", "onnx")


def test_8_bits_are_for_onnx_alone(tmp_path: Path) -> None:
    assert refusal(tmp_path, "--to", "pt2", "--int8") == "--int8: only applies to --to onnx, not to --to pt2"


def test_8_bits_need_the_bundles_own_photographs(tmp_path: Path) -> None:
    assert "leave out --photographs" in refusal(tmp_path, "--to", "onnx", "--int8", "--photographs", tmp_path)


def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.mkdir()
    (own / "thesis.txt").write_text("years of work", encoding="utf-8")
    for place in (own, own / "thesis.txt"):
        assert refusal(tmp_path / "bundle", "--to", "onnx", "--out", place).startswith(
            f"--out: {place}: exists, and is not an earlier export"
        )
    assert (own / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_file_beside_an_earlier_export_is_never_deleted(tmp_path: Path) -> None:
    earlier = tmp_path / "model-onnx"
    earlier.mkdir()
    for name in export.WRITTEN:
        (earlier / name).touch()
    # An earlier export alone is replaced.
    assert "no bundle" in refusal(tmp_path / "bundle", "--to", "onnx", "--out", earlier)
    (earlier / "notes").mkdir()
    (earlier / "app.py").write_text("mine", encoding="utf-8")
    assert refusal(tmp_path / "bundle", "--to", "onnx", "--out", earlier) == (
        f"--out: {earlier}: holds 'app.py', 'notes' besides an earlier export, which is replaced as a whole; move that "
        "away, or name a new folder"
    )
    assert (earlier / "app.py").read_text(encoding="utf-8") == "mine"


def test_a_bundle_is_not_written_into(tmp_path: Path) -> None:
    place = tmp_path / "bundle" / "onnx"
    assert refusal(place.parent, "--to", "onnx", "--out", place) == (
        f"--out {place}: is in the bundle {place.parent}; name a place outside"
    )


def test_another_format_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    result = called(tmp_path, "--to", "tflite")
    assert result.exit_code == 2
    assert "'onnx', 'pt2'" in result.output


def test_photographs_of_a_folder_are_named_within_it_and_bad_ones_are_lines(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "a").mkdir()
    Image.new("RGB", (20, 30)).save(tmp_path / "a/1.png")
    (tmp_path / "b.jpg").write_bytes(b"no image")
    photographs, refused = originals.of_folder(tmp_path)
    assert [(one.name, one.label) for one in photographs] == [("a/1.png", None)]
    assert [line.partition(":")[0] for line in refused] == ["b.jpg"]
    with pytest.raises(InputError, match="no such folder; give one with photographs"):
        originals.of_folder(tmp_path / "none")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(InputError, match=r"no photograph in it that can be read.*; give another folder$"):
        originals.of_folder(tmp_path)


@pytest.fixture
def bundle(project: Path, uncharted: None) -> Path:
    tiny.chain("train")
    stage.main([])
    return paths.BUNDLE


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    return values


@pytest.mark.slow
def test_a_bundle_is_exported_with_proof_that_it_agrees(bundle: Path) -> None:
    for kind, files in {"onnx": ["model-int8.onnx", "model.onnx"], "pt2": ["model.pt2"]}.items():
        # The quicker one twice: an earlier export is replaced.
        for _ in range(2 if kind == "pt2" else 1):
            done = called(bundle, "--to", kind, *(["--int8"] if kind == "onnx" else []))
            assert done.exit_code == 0, (done.output, done.exception)
        folder = Path(f"models/bundle-{kind}")
        assert sorted(file.name for file in folder.iterdir()) == [*files, "parity.json"]
        assert "100.00 %" in done.output
        assert "images a second" in done.output
        tested = [line for line in paths.split_file(1).read_text(encoding="utf-8").splitlines() if "test" in line]
        same = report(folder)["same_decoding"]
        assert (same["photographs"], same["equal"]) == (len(tested), len(tested))
        assert same["largest_gap"] < 1e-4
    lost = report(Path("models/bundle-onnx"))["int8"]
    assert lost["photographs"] == len(tested)
    assert lost["calibrated_with"] > 0
    changed = lost["accuracy"]
    assert (changed["low"] is None) == (not changed["only_right_before"] + changed["only_right_after"])


@pytest.mark.slow
def test_a_model_that_differs_is_kept_and_the_command_says_so_and_fails(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = exporting.module

    def wrong(loaded: Any) -> Any:
        module = made(loaded)
        # Every score is that of the class before it.
        module.networks = torch.nn.ModuleList([torch.nn.Sequential(*module.networks, Rolled())])
        return module

    monkeypatch.setattr(exporting, "module", wrong)
    done = called(bundle, "--to", "pt2")
    assert isinstance(done.exception, InputError)
    assert "fewer than 99.5 % of photographs get the bundle's class" in str(done.exception)
    values = report(Path("models/bundle-pt2"))
    assert not values["enough"]
    assert values["same_decoding"]["equal"] == 0
    listed = [one["photograph"] for one in values["same_decoding"]["exceptions"]]
    assert len(listed) == values["same_decoding"]["photographs"]
    assert all((paths.IMAGES / name).is_file() for name in listed)


class Rolled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.roll(1, 1)


@pytest.mark.slow
def test_another_working_tree_needs_photographs_to_compare_on(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = paths.IMAGES.resolve()
    elsewhere = bundle.resolve().parent / "elsewhere"
    elsewhere.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(elsewhere)
        place = Path("../bundle")
        assert "the photographs of the bundle are not in this project; run this in" in refusal(place, "--to", "pt2")
        done = called(place, "--to", "pt2", "--photographs", images, "--out", "here")
        assert done.exit_code == 0, (done.output, done.exception)
        assert report(Path("here"))["same_decoding"]["photographs"] == len(list(images.rglob("*.png")))
    meta = paths.PACKED / paths.PACKED_META
    changed = json.loads(meta.read_text(encoding="utf-8")) | {"sha256": "0" * 64}
    monkeypatch.setattr(originals.digests, "check", lambda *_: None)
    split = paths.split_file(contents.describe(bundle).members[0].repeat)
    divided = split.read_bytes()
    split.write_bytes(divided.replace(b",test\n", b",train\n", 1))
    assert f"{split}: other parts of the photographs than the bundle's; run this in" in refusal(bundle, "--to", "pt2")
    split.write_bytes(divided)
    meta.write_text(json.dumps(changed), encoding="utf-8")
    assert "other photographs, or other parts of them, than the bundle's" in refusal(bundle, "--to", "pt2")


@pytest.mark.slow
def test_speeds_are_those_of_the_same_photographs_in_turns(bundle: Path) -> None:
    from pipeline.bundles import bundle as bundles

    loaded = bundles.load(bundle, device="cpu")
    calls: list[int] = []

    def model(photographs: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        calls.append(len(photographs))
        return np.zeros((1, 2), np.float32)

    given = originals.of_part(loaded.description, "test")[:3]
    measured = parity.speeds(loaded, {"it": model}, given)
    # The first pass only warms up.
    assert calls == [1] * 3 * (1 + parity.PASSES)
    assert measured["it"]["images_per_second"] > measured["bundle"]["images_per_second"] > 0
    assert measured["photographs"] == 3
