import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from pipeline.core import digests, paths
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.stages import preprocess


def _collected(images: int, *, side: int = 40) -> None:
    """A collected set of one image and links to it."""
    folder = paths.IMAGES / "a"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(paths.COLLECTED / "one.png", compress_level=1)
    for number in range(images):
        (folder / str(number)).symlink_to(Path("../../one.png"))
    sha256 = digests.sha256(paths.COLLECTED / "one.png")
    rows = [Row(f"a/{number}", "a", "", 1, sha256, side, side, "RGB", "") for number in range(images)]
    manifest.write(paths.MANIFEST, Row, rows)
    digests.seal(paths.COLLECTED)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.write_params({"data.image_size": 64, "data.resize": "crop"})


def _run(**options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.preprocess"],
        env=os.environ | {"PYTHONPATH": str(tiny.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def test_the_set_is_packed_as_the_parameters_say():
    _collected(3)
    preprocess.main()
    assert Packed.open(paths.PACKED).images.shape == (3, 3, 64, 64)
    assert '"resize": "crop"' in (paths.PACKED / paths.PACKED_META).read_text()


def test_a_second_run_writes_the_same():
    _collected(3)
    preprocess.main()
    first = Packed.open(paths.PACKED).sha256
    preprocess.main()
    assert Packed.open(paths.PACKED).sha256 == first


def test_a_disk_that_becomes_full_is_one_line_and_leaves_nothing():
    _collected(20)
    limit = 30_000
    with _run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) as process:
        out, err = process.communicate(timeout=60)
    told = (
        "preprocess: error: data/packed/images.npy: File too large: larger than a file may be here; `ulimit -f` says "
        "the limit of the shell, and `ulimit -f unlimited` lifts it\n"
    )
    assert (process.returncode, out, err) == (1, "", told)
    assert not list(Path("data").glob("*packed*"))


def test_ctrl_c_stops_at_once_with_all_workers_and_leaves_nothing():
    _collected(3000, side=1500)
    with _run() as process:
        end = time.monotonic() + 60
        while not any(Path("data").glob(".packed.partial/*/packed/images.npy")):
            assert process.poll() is None, "the stage ended early"
            assert time.monotonic() < end, "the stage did not begin to write"
            time.sleep(0.02)
        time.sleep(2.0)
        interrupted = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        # The pipes end when the last process that holds them has gone.
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - interrupted < 10
    assert process.returncode == 130
    assert (out, err) == ("", "preprocess: interrupted; `dvc repro` goes on from the last finished stage\n")
    assert not list(Path("data").glob("*packed*"))
