"""Exported files: what is in them, what they need, and that they agree; in a process that has imported all of this."""

import importlib
import json
import pickle
import pkgutil
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import export_proof
import numpy as np
import onnx
import pytest
import readme
import torch
from export_proof import Case
from PIL import Image

import pipeline
from pipeline.bundles import exporting, running
from pipeline.core import seeding
from pipeline.regularizers.feature_hooks import FeatureHooks

pytestmark = pytest.mark.slow

SMALL = Case(attention="ecsm", head="conv1x1")
# The last one's photographs are resized bicubically.
WHOLE = (Case(attention="csca", head="mlp1024"), Case(backbone="vit_b_16"), Case(backbone="timm/test_vit"))
METADATA = {
    "classes": json.dumps(["a", "b", "c", "d", "é"]),
    "preprocessing": json.dumps({"decode_at_least": 2 * export_proof.SIDE}),
    "made_from": json.dumps({"commit": "c" * 40}),
}
PLACES = re.compile(rb"[\w.-]*/(?:site-packages|pipeline|tests|usr|home|tmp)/[\w./-]*")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small network in both formats."""
    folder = tmp_path_factory.mktemp("exported")
    module = export_proof.whole(SMALL)
    exporting.write_onnx(module, folder / "model.onnx", METADATA)
    exporting.write_pt2(module, folder / "model.pt2", METADATA)
    return {file.suffix: file for file in folder.iterdir()}


def import_everything() -> None:
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        # MLflow alone runs that file, where it loads a model.
        if module.name != "pipeline.tracking.served":
            importlib.import_module(module.name)


# `make export-proof` has those of full width.
@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_a_network_gives_the_same_scores_in_a_process_that_has_imported_everything(
    case: Case, kind: str, tmp_path: Path
) -> None:
    import_everything()
    # As every stage begins; torch.export reads the precision by its older interface.
    seeding.make_exact(threads=1, device="cpu", precision="tf32")
    gap = export_proof.compare(case, kind, tmp_path)
    assert gap.passes, gap


def test_a_network_that_a_regularizer_looks_into_is_exported(tmp_path: Path) -> None:
    module = export_proof.whole(SMALL)
    photographs = np.random.default_rng(0).integers(0, 256, (2, 90, 70, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = module(torch.from_numpy(photographs))[0].numpy()
    network: Any = module.networks[0]
    with FeatureHooks(network.model, ["layer1.0.conv1", "layer4"]):
        exporting.write_onnx(module, tmp_path / "model.onnx", {})
        exporting.write_pt2(module, tmp_path / "model.pt2", {})
    for model in (running.onnx(tmp_path / "model.onnx"), running.pt2(tmp_path / "model.pt2")):
        assert np.abs(model(photographs) - expected).max() < 1e-4


def test_the_comparison_finds_a_preprocessing_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here by antialiasing alone, the commonest mistake."""
    from pipeline.bundles import graph

    def once(photographs: torch.Tensor, size: int, _resize: str, **_: str) -> torch.Tensor:
        return torch.nn.functional.interpolate(photographs.permute(0, 3, 1, 2).float(), size=(size, size))

    write = exporting.write_pt2

    def wrong(*arguments: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(graph, "resampled", once)
            write(*arguments)

    monkeypatch.setattr(exporting, "write_pt2", wrong)
    assert not export_proof.compare(SMALL, "pt2", tmp_path).passes


def test_an_onnx_file_is_whole_and_says_what_it_takes_and_gives(files: dict[str, Path]) -> None:
    model = onnx.load(files[".onnx"], load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    [given] = model.graph.input
    axes = [one.dim_param or one.dim_value for one in given.type.tensor_type.shape.dim]
    assert (given.name, axes) == ("photographs", ["batch", "height", "width", 3])
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [one.name for one in model.graph.output] == ["probabilities", "logits"]
    assert {one.key: one.value for one in model.metadata_props} == METADATA
    assert {one.domain for one in model.opset_import} == {""}
    assert not [one for one in model.graph.initializer if one.external_data]


def test_class_names_and_preprocessing_travel_in_a_pt2_file(files: dict[str, Path]) -> None:
    extra = dict.fromkeys(METADATA, "")
    torch.export.load(files[".pt2"], extra_files=extra)
    assert extra == METADATA


def test_a_pt2_file_is_loaded_without_unpickling(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for owner, name in ((torch, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(owner, name, refuse)
    assert running.pt2(files[".pt2"])(np.zeros((1, 9, 9, 3), np.uint8)).shape == (1, export_proof.CLASSES)
    with zipfile.ZipFile(files[".pt2"]) as archive:
        # The second byte of every pickle that torch writes.
        assert not [one for one in archive.namelist() if archive.read(one)[:1] == b"\x80"]


@pytest.mark.parametrize("kind", [".onnx", ".pt2"])
def test_no_place_of_this_machine_is_in_an_exported_file(kind: str, files: dict[str, Path]) -> None:
    content = files[kind].read_bytes()
    if kind == ".pt2":
        with zipfile.ZipFile(files[kind]) as archive:
            content = b"".join(archive.read(one) for one in archive.namelist())
    assert PLACES.findall(content) == []


def photograph(place: Path, *, mode: str = "RGB", size: tuple[int, int] = (901, 733), exif: int = 1) -> Path:
    noise = np.random.default_rng(exif).integers(0, 256, (size[1] // 40, size[0] // 40, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size).convert(mode)
    description = Image.Exif()
    description[0x0112] = exif
    image.save(place, exif=description)
    return place


@pytest.mark.parametrize(
    ("kind", "engine", "hidden"), [(".onnx", "onnxruntime", "torch"), (".pt2", "torch", "onnxruntime")]
)
def test_some_lines_without_this_project_give_the_bundles_class_and_probability(
    kind: str, engine: str, hidden: str, files: dict[str, Path], tmp_path: Path
) -> None:
    """Of large and turned and gray JPEGs, and of PNGs, one of them with transparent pixels."""
    [script] = [block for block in readme.fenced("into-use.md", "python") if f"import numpy as np, {engine}" in block]
    assert len(script.strip().splitlines()) <= 18
    given = [
        photograph(tmp_path / "large.jpg"),
        photograph(tmp_path / "turned.jpg", exif=6),
        photograph(tmp_path / "gray.jpg", mode="L"),
        photograph(tmp_path / "small.png", size=(77, 120)),
        photograph(tmp_path / "cut-out.png", size=(77, 120)),
    ]
    with Image.open(given[-1]) as image:
        # Half of it is black below, and transparent.
        Image.composite(
            image,
            Image.new("RGBA", image.size),
            Image.linear_gradient("L").resize(image.size).point(lambda gray: 255 * (gray > 127)),
        ).save(given[-1])
    # None in its place makes the import of a module fail.
    hide = f"import sys; sys.modules.update(dict.fromkeys(('pipeline', 'torchvision', {hidden!r}))); "
    words = [sys.executable, "-I", "-c", f"{hide}exec(open('script.py').read())", *map(str, given)]
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    (tmp_path / f"model{kind}").write_bytes(files[kind].read_bytes())
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = [said(file) for file in given]
    assert len({line.split()[0] for line in expected}) > 1
    assert done.stdout.splitlines() == [f"{file} {line}" for file, line in zip(given, expected, strict=True)]


def said(file: Path) -> str:
    """What the network in memory says of a file that is read as `preprocess` reads it."""
    from pipeline.datasets.decoding.images import load

    pixels = np.array(load(file, at_least=2 * export_proof.SIDE).image)[None]
    module: Callable[..., Any] = export_proof.whole(SMALL)
    with torch.no_grad():
        probabilities = module(torch.from_numpy(pixels))[0][0]
    return f"{json.loads(METADATA['classes'])[int(probabilities.argmax())]} {probabilities.max():.3f}"
