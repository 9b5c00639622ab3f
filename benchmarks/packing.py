"""Images per second of packing a large set, compared with a plain Pillow loop on one core in the same run.

    python benchmarks/packing.py --out benchmarks/results

The set has JPEGs of 500 x 375 pixels, the size of the papers' images: some hundred drawings, each saved many times with
a different number in a comment, so that no two files are equal and each is decoded. The plain loop opens, converts and
resizes one image after the other into an array of a batch in memory, without checks and without writing. The two take
turns; a ratio is that of their speeds in the same round, and the result is the median with the range.

With --memory-at, sets of these sizes are packed too, each in a process of its own. Memory is the largest sum over that
process and its workers, looked at ten times a second while it packs; a page that several share is counted once.

With --dvc, `dvc repro preprocess` runs over the whole set in a clone of the repository, and then once more with nothing
to do; both are timed.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil
import report
from PIL import Image

from pipeline.core import provenance, seeding
from pipeline.datasets.decoding.packing import pack
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 500, 375
COMMENT = b"\xff\xfe"
BATCH = 32
# Seconds between two looks at memory.
INTERVAL = 0.1


def main() -> None:
    """Draw the set, time both loops in turns, print the speeds, and write them with machine and versions."""
    args = arguments()
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        rows = make(Path(scratch) / "images", args.images, drawings=min(args.drawings, args.images))
        rounds = [one_round(Path(scratch), rows, args) for _ in range(args.rounds)]
        peak = max(one.pop("memory") for one in rounds)
        result: dict[str, Any] = {"speed": spread(rounds), "peak_memory_mb": peak}
        result["memory_at"] = {count: memory_at(count, args, Path(scratch)) for count in args.memory_at}
        if args.dvc:
            result["dvc_seconds"] = repro(Path(scratch))
    print(json.dumps(result, indent=2))
    machine: dict[str, Any] = {"device": provenance.processor(), "cores": seeding.cores(), "load": os.getloadavg()[1]}
    settings = {key: value for key, value in vars(args).items() if key not in ("out", "scratch")}
    machine["versions"] = provenance.versions()
    report.write(args.out / "packing.json", machine=machine, settings=settings, results=result)


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Images per second of packing, compared with a plain loop.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--drawings", type=int, default=300, help="number of images with different pixels")
    parser.add_argument("--plain", type=int, default=2_000, help="images per round of the plain loop")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-at", type=int, nargs="*", default=[], help="sizes of sets whose memory is measured")
    parser.add_argument("--dvc", action="store_true", help="also time a dvc repro with nothing to do")
    parser.add_argument("--scratch", type=Path, help="folder of the images meanwhile; by default the system's")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def make(folder: Path, images: int, *, drawings: int) -> list[Row]:
    """Write the set, one folder per class, and return its manifest, of which packing reads paths and labels."""
    rows = []
    with mapped(draw, range(drawings)) as jpegs:
        for number, jpeg in enumerate(jpegs):
            label = SPIDERS[number % len(SPIDERS)]
            (folder / label).mkdir(parents=True, exist_ok=True)
            for copy in range(number, images, drawings):
                path = f"{label}/{copy:06}.jpg"
                content = numbered(jpeg, copy)
                (folder / path).write_bytes(content)
                sha256 = hashlib.sha256(content).hexdigest()
                rows.append(Row(path, label, "", len(content), sha256, WIDTH, HEIGHT, "RGB", ""))
    return sorted(rows)


def draw(number: int) -> bytes:
    """Return one drawing as a JPEG."""
    kind, index = number % len(SPIDERS), number // len(SPIDERS)
    image = spider_image(kind, index, size=WIDTH, seed=0).crop((0, 0, WIDTH, HEIGHT))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def numbered(jpeg: bytes, number: int) -> bytes:
    """Return the same picture in other bytes, with a number in a comment."""
    text = str(number).encode()
    # Right behind the two bytes that start every JPEG.
    return jpeg[:2] + COMMENT + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def one_round(scratch: Path, rows: list[Row], args: argparse.Namespace) -> dict[str, float]:
    """Measure images per second of the plain loop, then of packing."""
    target = scratch / "packed"
    with on_one_core():
        plain = timed(partial(plain_loop, scratch / "images", rows[: args.plain], args.size))
    with watched_memory() as peak:
        packing = timed(
            partial(pack, rows, scratch / "images", target, size=args.size, resize="stretch", interpolation="bilinear")
        )
    # `pack` makes its folder, so that each round needs a new one.
    shutil.rmtree(target)
    return {"plain_loop": min(args.plain, len(rows)) / plain, "packing": len(rows) / packing, "memory": max(peak)}


def plain_loop(folder: Path, rows: list[Row], size: int) -> None:
    """Decode and resize as in a hand-written script."""
    array = np.empty((BATCH, 3, size, size), np.uint8)
    for place, row in enumerate(rows):
        with Image.open(folder / row.path) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        array[place % BATCH] = np.asarray(small).transpose(2, 0, 1)


def timed(work: partial[None]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def on_one_core() -> Iterator[None]:
    """Pin this process to one core, where the system supports that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


def spread(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return median and range of both speeds and of their ratio."""
    rows = [one | {"ratio": one["packing"] / one["plain_loop"]} for one in rounds]
    return {
        name: {
            "median": round(statistics.median(one[name] for one in rows), 2),
            "lowest": round(min(one[name] for one in rows), 2),
            "highest": round(max(one[name] for one in rows), 2),
            "n": len(rows),
        }
        for name in rows[0]
    }


@contextmanager
def watched_memory() -> Iterator[list[int]]:
    """Yield a list that gets the MB of this process and its children, again and again until the block ends."""
    peak, ended = [memory()], threading.Event()

    def watch() -> None:
        while not ended.wait(INTERVAL):
            peak.append(memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def memory() -> int:
    """Return the MB that this process and its children have."""
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):
            whole = process.memory_full_info()
            # Only Linux tells how much of shared pages is a process's own.
            total += getattr(whole, "pss", whole.rss)
    return total // 10**6


def memory_at(images: int, args: argparse.Namespace, scratch: Path) -> int:
    """Return the peak memory of packing a set of another size, in MB."""
    options = {"images": images, "drawings": args.drawings, "size": args.size, "plain": 1, "rounds": 1}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    places = ("--scratch", str(scratch), "--out", str(scratch))
    subprocess.run([sys.executable, __file__, *words, *places], check=True, stdout=subprocess.DEVNULL)
    result = json.loads((scratch / "packing.json").read_text(encoding="utf-8"))
    return int(result["peak_memory_mb"])


def repro(scratch: Path) -> dict[str, float]:
    """Time a first `dvc repro preprocess` over the set in a clone, and a second one with nothing to do."""
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
