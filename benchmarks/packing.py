"""Images a second of packing a large set, beside a plain Pillow loop on one core, in one run on one machine.

    python benchmarks/packing.py --out benchmarks/results

The set is JPEGs of 500 x 375 pixels, as large as those of the papers: some hundred drawings, each saved many times with
a number of its own in a comment, so that no two files are equal and each is decoded. The plain loop opens, converts and
resizes one image after the other into an array in memory, and checks and writes nothing. The two take turns; a ratio is
that of their speeds in the same round, and the figure is the median with the range. Memory is the most that the process
held plus, for every worker, the most that one of them held, so what they share is counted more than once.

With --dvc, a clone of what git knows is made beside the images, `dvc repro preprocess` is run in it over the whole set,
and a second one, which has nothing to do, is timed.
"""

import argparse
import io
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

from pipeline.core import provenance
from pipeline.datasets.decoding.packing import pack
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 500, 375
COMMENT = b"\xff\xfe"


def main() -> None:
    """Draw the set, time both loops in turns, print the speeds, and write them with machine and versions."""
    wanted = arguments()
    with tempfile.TemporaryDirectory(dir=wanted.scratch) as scratch:
        rows = make(Path(scratch) / "images", wanted.images, drawings=min(wanted.drawings, wanted.images))
        rounds = [one_round(Path(scratch), rows, wanted) for _ in range(wanted.rounds)]
        result: dict[str, Any] = {"speed": spread(rounds), "peak_memory_mb": peak_memory()}
        if wanted.dvc:
            result["dvc_seconds"] = repro(Path(scratch))
    print(json.dumps(result, indent=2))
    machine = {"device": provenance.processor(), "cores": cores(), "load": os.getloadavg()[1]}
    settings = {key: value for key, value in vars(wanted).items() if key not in ("out", "scratch")}
    told = {"machine": machine | {"versions": provenance.versions()}, "settings": settings} | result
    wanted.out.mkdir(parents=True, exist_ok=True)
    file = wanted.out / "packing.json"
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description="Images a second of packing beside a plain loop.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--drawings", type=int, default=300, help="how many of them differ in their pixels")
    parser.add_argument("--plain", type=int, default=2_000, help="how many of them the plain loop takes a round")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dvc", action="store_true", help="time a dvc repro that has nothing to do as well")
    parser.add_argument("--scratch", type=Path, help="where images are put meanwhile; the system's own place without")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def make(folder: Path, images: int, *, drawings: int) -> list[Row]:
    """Write the set below a folder, one folder a class; gives its manifest, of which packing reads paths and labels."""
    rows = []
    with mapped(drawn, range(drawings)) as jpegs:
        for number, jpeg in enumerate(jpegs):
            label = SPIDERS[number % len(SPIDERS)]
            (folder / label).mkdir(parents=True, exist_ok=True)
            for copy in range(number, images, drawings):
                path = f"{label}/{copy:06}.jpg"
                (folder / path).write_bytes(numbered(jpeg, copy))
                rows.append(Row(path, label, "", 0, "", WIDTH, HEIGHT, "RGB", ""))
    return sorted(rows)


def drawn(number: int) -> bytes:
    """One drawing as a JPEG."""
    kind, index = number % len(SPIDERS), number // len(SPIDERS)
    image = spider_image(kind, index, size=WIDTH, seed=0).crop((0, 0, WIDTH, HEIGHT))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def numbered(jpeg: bytes, number: int) -> bytes:
    """The same picture in other bytes."""
    text = str(number).encode()
    return jpeg[:2] + COMMENT + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def one_round(scratch: Path, rows: list[Row], wanted: argparse.Namespace) -> dict[str, float]:
    """Images a second of the plain loop and of packing, one after the other."""
    target = scratch / "packed"
    with on_one_core():
        plain = timed(partial(plain_loop, scratch / "images", rows[: wanted.plain], wanted.size))
    packing = timed(partial(pack, rows, scratch / "images", target, size=wanted.size, resize="stretch"))
    shutil.rmtree(target)
    return {"plain_loop": min(wanted.plain, len(rows)) / plain, "packing": len(rows) / packing}


def plain_loop(folder: Path, rows: list[Row], size: int) -> None:
    """What one writes by hand."""
    array = np.empty((len(rows), 3, size, size), np.uint8)
    for place, row in enumerate(rows):
        with Image.open(folder / row.path) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        array[place] = np.asarray(small).transpose(2, 0, 1)


def timed(work: partial[None]) -> float:
    """Seconds that some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


def cores() -> int:
    """How many cores packing uses."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Median and range of both speeds and of their ratio."""
    found = [one | {"ratio": one["packing"] / one["plain_loop"]} for one in rounds]
    return {
        name: {
            "median": round(statistics.median(one[name] for one in found), 2),
            "lowest": round(min(one[name] for one in found), 2),
            "highest": round(max(one[name] for one in found), 2),
            "n": len(found),
        }
        for name in found[0]
    }


def peak_memory() -> int:
    """The most that this process held and, for each core, the most that a worker held, in MB."""
    own, worker = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # In kilobytes, but on macOS in bytes.
    return (own + cores() * worker) // (1000 if sys.platform != "darwin" else 10**6)


def repro(scratch: Path) -> dict[str, float]:
    """Seconds of a first `dvc repro preprocess` over the set in a clone, and of a second with nothing to do."""
    clone = scratch / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    text = (clone / "params.yaml").read_text(encoding="utf-8")
    for key, value in {"data": "folder", "folder": scratch / "images"}.items():
        text = re.sub(rf"^{key}: \S+", f"{key}: {value}", text, count=1, flags=re.MULTILINE)
    (clone / "params.yaml").write_text(text, encoding="utf-8")
    quiet = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run = partial(subprocess.run, ["dvc", "repro", "preprocess"], cwd=clone, env=quiet, check=True)
    seconds = {}
    for name in ("first", "nothing_to_do"):
        started = time.perf_counter()
        run(stdout=subprocess.DEVNULL)
        seconds[name] = round(time.perf_counter() - started, 1)
    return seconds


if __name__ == "__main__":
    main()
