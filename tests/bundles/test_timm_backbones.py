"""Experiments with backbones from timm: what they resolve to, the pipeline, a bundle, weights from a file and a hub."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tiny
import torch
from bundle_files import write
from PIL import Image

from pipeline import config
from pipeline.assembly.transforms import eval_transform
from pipeline.bundles import bundle
from pipeline.core import imagenet, paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.datasets.decoding import images
from pipeline.networks.build import Plan, build
from pipeline.pretrained.weights import packaged
from pipeline.training import checkpoints

pytestmark = pytest.mark.slow
ROOT = tiny.ROOT
VIT = "timm/test_vit"
CONVNEXT = "timm/test_convnext"
LITE = "timm/tf_efficientnet_lite0"


def resolved(changes: dict[str, Any] | None = None, **axes: Any) -> Recipe:
    return config.resolve(config.check(tiny.values(changes, weights="none", **axes))).recipe


def test_size_and_normalization_are_the_models_own() -> None:
    one = resolved(backbone=VIT).data
    assert one.sizes == (160, 160, 160)
    assert one.mean == one.std == (0.5, 0.5, 0.5)
    assert resolved(backbone="resnet18").data.mean == imagenet.MEAN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (VIT, "bicubic"),
        (CONVNEXT, "bicubic"),
        ("timm/test_mambaout", "bicubic"),
        (LITE, "bicubic"),
        ("timm/mobilenetv3_large_100.ra_in1k", "bicubic"),
        ("timm/resnet34.tv_in1k", "bilinear"),
        ("resnet18", "bilinear"),
        ("efficientnet_lite0", "bilinear"),
    ],
)
def test_interpolation_is_the_models_own_unless_it_is_set(name: str, expected: str) -> None:
    assert resolved(backbone=name).data.interpolation == expected
    for way in ("bilinear", "bicubic"):
        assert resolved({"data.interpolation": way}, backbone=name).data.interpolation == way


def test_a_recipes_crop_takes_the_models_size_and_keeps_its_ratio() -> None:
    cropped = {"data.image_size": 128, "data.crop_size": 112, "data.crop_padding": 7}
    one = resolved(cropped, backbone=VIT).data
    assert one.sizes == (183, 160, 160)
    assert one.crop_padding == 10


def test_a_crop_in_timms_ratio_is_timms_own_evaluation() -> None:
    from timm.data import create_transform, resolve_data_config

    from pipeline.networks.backbones.timm_names import configuration

    own = resolve_data_config(pretrained_cfg=configuration(CONVNEXT).to_dict())
    data = resolved({"data.resize": "crop", "data.image_size": 168, "data.crop_size": 160}, backbone=CONVNEXT).data
    assert (own["crop_pct"], own["interpolation"], data.sizes) == (0.95, "bicubic", (168, 160, 160))
    square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
    packed = images.resized(square, data.image_size, data.resize, interpolation=data.interpolation)
    ours = eval_transform(data.sizes).eval_transform(torch.from_numpy(np.array(packed)).permute(2, 0, 1)[None])
    theirs = create_transform(**own, is_training=False, normalize=False)(square)
    assert torch.equal(ours[0], theirs)


def test_a_size_that_is_set_holds() -> None:
    assert resolved(backbone=VIT, image_size=96).data.sizes == (96, 96, 96)
    assert resolved({"data.input_size": 64}, backbone=VIT).data.sizes == (tiny.SIDE, tiny.SIDE, 64)


def test_an_unknown_name_is_a_line_with_near_ones() -> None:
    with pytest.raises(
        InputError, match=r"^params.yaml: backbone: 'timm/test_vitt': is not known to timm .*timm/test_vit"
    ):
        config.check(tiny.values(backbone="timm/test_vitt"))


@pytest.mark.usefixtures("uncharted")
@pytest.mark.parametrize(
    ("name", "freeze"),
    [(VIT, "auto"), (VIT, "lora"), (VIT, "bitfit"), (CONVNEXT, "auto"), ("timm/test_mambaout", "auto")],
)
def test_a_bundle_gives_what_evaluate_gave(name: str, freeze: str, bare: Path) -> None:
    tiny.put(tiny.values(backbone=name, weights="none", image_size=64, freeze=freeze))
    tiny.chain()
    loaded = bundle.load(write(bare / "bundle"), device="cpu")
    prepared, data = loaded.description.preprocessing, Recipe.read().data
    assert (tuple(prepared.mean), tuple(prepared.std)) == (data.mean, data.std)
    assert prepared.input_size == 64
    assert prepared.resampling == data.interpolation == "bicubic"
    logits = np.load(paths.evaluation(1) / "logits.npy")
    files = [
        paths.IMAGES / line.split(",")[0]
        for line in (paths.evaluation(1) / "predictions.csv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    assert np.array_equal(loaded.run(np.stack([loaded.pixels(file) for file in files])).logits[0], logits)


def test_the_real_weights_give_the_features_of_our_own_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.stages import source, validate

    file = tmp_path / "lite0.safetensors"
    checkpoints.save(packaged("efficientnet_lite0").values, file)
    tiny.enter(tmp_path / "project", monkeypatch)
    tiny.put(tiny.values(backbone=LITE, weights="file", weights_file=str(file), image_size=96))
    validate.main()
    source.main()
    recipe = Recipe.read()
    options = {"head": "linear", "classes": 2, "image_size": 96, "head_options": {"dropout": 0.0}}
    theirs = build(Plan(LITE, **options), pretrained=checkpoints.read(paths.SOURCE_WEIGHTS)).eval()
    ours = build(Plan("efficientnet_lite0", **options), pretrained=packaged("efficientnet_lite0").values).eval()
    pixels = torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))

    def normalized(mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
        return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    with torch.no_grad():
        their = theirs.run(normalized(recipe.data.mean, recipe.data.std), stop=theirs.head_start)
        our = ours.run(normalized(imagenet.MEAN, imagenet.STD), stop=ours.head_start)
    assert their.shape == our.shape == (4, 1280)
    torch.testing.assert_close(their, our, rtol=1e-4, atol=1e-4)


class _Hub(BaseHTTPRequestHandler):
    """One file of one repository, as the Hugging Face hub serves it."""

    content = b""
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        if self._answer():
            self.wfile.write(self.content)

    def _answer(self) -> bool:
        self.asked.append(self.path)
        there = self.path == "/timm/test_vit.r160_in1k/resolve/main/model.safetensors"
        self.send_response(200 if there else 404)
        if there:
            self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(self.content) if there else 0))
        self.end_headers()
        return there

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(content: bytes) -> Iterator[tuple[str, list[str]]]:
    asked: ClassVar[list[str]] = []
    kind = type("Hub", (_Hub,), {"content": content, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def source(address: str, home: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run the stage in a process of its own, since the hub's library reads its settings when it is imported."""
    # Another test of this process may have set the hub off.
    environment = (
        {"HF_HUB_OFFLINE": "0"}
        | more
        | {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    )
    return subprocess.run(
        [sys.executable, "-m", "pipeline.stages.source"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_weights_from_the_hub_are_fetched_once_and_their_digest_is_recorded_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm

    torch.manual_seed(0)
    values = timm.create_model("test_vit").state_dict()
    file = tmp_path / "model.safetensors"
    checkpoints.save(values, file)
    content, digest = file.read_bytes(), hashlib.sha256(file.read_bytes()).hexdigest()
    tiny.enter(tmp_path / "project", monkeypatch)
    tiny.put(tiny.values(backbone=VIT, weights="timm"))
    tiny.resolve_settings()
    with serving(content) as (address, asked):
        done = source(address, tmp_path / "home")
        assert done.returncode == 0, done.stderr
        before = len(asked)
        assert before
    record = json.loads(paths.SOURCE_RECORD.read_text())["weights"]
    assert record["origin"] == f"timm timm/test_vit.r160_in1k model.safetensors {'c' * 40}"
    assert (record["file_sha256"], record["license"]) == (digest, "Apache-2.0")
    stored = checkpoints.read(paths.SOURCE_WEIGHTS)
    assert all(torch.equal(stored[key], values[key]) for key in stored)
    assert {key.partition(".")[0] for key in values.keys() - stored.keys()} == {"head"}
    # From the cache, without a server; and not from a cache that was changed.
    assert source(address, tmp_path / "home").returncode == 0
    (blob,) = (tmp_path / "home").rglob(digest)
    blob.write_bytes(content[:-1] + b"\1")
    done = source(address, tmp_path / "home")
    assert done.returncode == 1
    assert "is not what was published; delete it" in done.stderr
    # Where no server answers, the hub's library tries for a minute first.
    done = source(address, tmp_path / "another", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "cannot be downloaded from the Hugging Face hub" in done.stderr
    assert done.stderr.count("\n") == 1
