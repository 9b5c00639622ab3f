"""How the commands that read a study grow with its cells: seconds and memory on experiments written by plumbing.

    python benchmarks/many_cells.py 30 200 1000 --code BEFORE --code . --out benchmarks/results

In a scratch clone, each cell of a study of learning rates gets what its run would leave: the metrics of three repeats
in DVC's cache, and a commit under refs/exps with its params.yaml, dvc.lock and summary. Nothing is trained. Each
command then runs in a process of its own, whose CPU time, wall time and peak memory are the kernel's. With several
--code, trees of other versions of the package, each reads the same cells in turn, so that their ratio is of one machine
at one time.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

# The repository's own package, and the writers of metrics that the tests have.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import written_results as written  # type: ignore[import-not-found]
from tqdm import tqdm

from pipeline.core import digests, lockfile, paths, provenance
from pipeline.evaluation.scores import SCORES
from pipeline.running import cells
from pipeline.running.cells import Cell
from pipeline.studies import definition

ROOT = Path(__file__).resolve().parents[1]
STUDY, FOLDER = "many", "photographs"
REPEATS, TEST_IMAGES, PHOTOGRAPHS = (1, 2, 3), 120, 1000
CLASSES = written.CLASSES
COMMANDS = {
    "study run": ("study", "run", f"{STUDY}.yaml"),
    "study report": ("study", "report", f"{STUDY}.yaml"),
    "sync": ("sync",),
    "sync again": ("sync",),
}
# What git has of an experiment, and of its outputs DVC.
IN_GIT = (paths.PARAMS, paths.LOCK, paths.SUMMARY)


class Usage(NamedTuple):
    """The cost of one process and its children: CPU and wall time in seconds, peak memory in MiB, and if it was cut."""

    cpu: float
    wall: float
    memory: float
    cut: bool


def git(*words: str, content: bytes = b"") -> str:
    """Return what git prints, where this process is."""
    done = subprocess.run(("git", *words), input=content, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def make_project(place: Path, count: int) -> None:
    """Make a clone with photographs, a study of so many cells, and one whole experiment that DVC has committed."""
    git("clone", "--quiet", str(ROOT), str(place))
    with chdir(place):
        for number in range(PHOTOGRAPHS):
            photograph = Path(FOLDER, str(number % len(CLASSES)), f"{number}.jpg")
            photograph.parent.mkdir(parents=True, exist_ok=True)
            photograph.write_bytes(b"%d" % number)
        listed = "".join(f"  c{number}: {{set: {{lr: {1e-4 * (1 + number):.4f}}}}}\n" for number in range(count))
        settings = f"{{data: folder, folder: {FOLDER}, repeats: {list(REPEATS)}}}"
        Path(f"{STUDY}.yaml").write_text(f"title: Rates\nset: {settings}\ncells:\n{listed}", encoding="utf-8")
        [first, *_] = cells.plan(definition.find(f"{STUDY}.yaml"))
        write_metrics(first, random.Random(0))
        for place_ in (*map(Path, ("data/collected/images", "data/copies", "data/packed")), paths.SOURCE):
            write_dummy(place_ / "dummy")
        for name in ("SHA256SUMS", "dataset.json", "manifest.csv"):
            write_dummy(Path("data/collected", name))
        for repeat in REPEATS:
            write_dummy(paths.trained(repeat) / "dummy")
            write_dummy(paths.split_file(repeat))
            write_dummy(paths.digests(paths.split_file(repeat)))
        write_dummy(paths.RECIPE)
        write_dummy(paths.CURVES)
        subprocess.run((sys.executable, "-m", "dvc", "commit", "--force", "--quiet"), check=True)
        git("add", "--all")
        git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "Begin")


def write_dummy(file: Path) -> None:
    """Write a file that no command reads."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file}: 0\n", encoding="utf-8")


def write_metrics(cell: Cell, draw: random.Random) -> None:
    """Write what the stages of a cell leave below `metrics`, with random results."""
    for place in ("train", "runtime", "evaluate", "report"):
        shutil.rmtree(Path("metrics", place), ignore_errors=True)
    accuracies = {repeat: write_repeat(cell, repeat, draw) for repeat in REPEATS}
    mean = sum(accuracies.values()) / len(accuracies)
    summary: dict[str, Any] = {name: {"mean": mean, "sd": 0.01, "n": len(REPEATS)} for name in SCORES}
    summary["train_seconds"] = {"mean": 10.0, "sd": 0.0, "n": len(REPEATS)}
    summary["repeats"] = {str(repeat): {"accuracy": value} for repeat, value in accuracies.items()}
    written.write_json(paths.SUMMARY, summary)
    for name in ("summary.md", "index.html", "predictions.csv", "figures/curves.svg", "figures/curves.png"):
        file = paths.REPORT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{cell.name} {name}\n" * 20, encoding="utf-8")


def write_repeat(cell: Cell, repeat: int, draw: random.Random) -> float:
    """Write one repeat; return its accuracy."""
    record = written.record_of(repeat, cell.resolved.recipe.settings())
    rows = [{"epoch": n, "iteration": n, "lr": 0.1, "train_loss": 1 / n, "train_accuracy": 0.5} for n in range(1, 21)]
    runtime = written.runtime_of(train_seconds=draw.uniform(9, 11), epoch_seconds=[0.5] * len(rows))
    written.write_trained(record, rows, runtime)
    predicted = [(n % 4, n % 4 if draw.random() < 0.8 else (n + 1) % 4) for n in range(TEST_IMAGES)]
    confusion = [[predicted.count((actual, guess)) for guess in range(4)] for actual in range(4)]
    folder = paths.evaluation(repeat)
    folder.mkdir(parents=True)
    scores = written.scores_of(confusion, CLASSES, top5_accuracy=1.0, nll=draw.random(), calibration_error=0.1)
    scores.write(folder / "scores.json")
    tested = [
        (f"{actual}/{n}.png", CLASSES[actual], CLASSES[guess], 0.9, int(actual == guess))
        for n, (actual, guess) in enumerate(predicted)
    ]
    written.write_csv(folder / "predictions.csv", ["path", "actual", "predicted", "confidence", "correct"], tested)
    digests.seal(folder)
    return float(scores.accuracy)


def cached(place: Path) -> str:
    """Put an output into DVC's cache as DVC does; return its MD5."""
    if place.is_file():
        return put(place.read_bytes())
    files = sorted(file for file in place.rglob("*") if file.is_file())
    listed = [{"md5": put(file.read_bytes()), "relpath": file.relative_to(place).as_posix()} for file in files]
    return put(json.dumps(sorted(listed, key=lambda one: one["relpath"])).encode(), ".dir")


def put(content: bytes, kind: str = "") -> str:
    """Put one file into the cache."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + kind
    target = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return md5


def write_cells() -> None:
    """Give every cell of the study, where this process is, the experiment that its run would leave."""
    head, lock, params = git("rev-parse", "HEAD"), paths.LOCK.read_text("utf-8"), paths.PARAMS.read_text("utf-8")
    before = {name: md5 for name, md5 in lockfile.outputs(lockfile.stages(lock.encode())) if name.startswith("metrics")}
    stream = b""
    for number, cell in enumerate(tqdm(cells.plan(definition.find(f"{STUDY}.yaml")), "writing", disable=None)):
        write_metrics(cell, random.Random(number))
        text = lock
        for name, md5 in before.items():
            if Path(name).exists():
                text = text.replace(md5, cached(Path(name)))
        rate = f"\nlr: {cell.resolved.recipe.train.lr} "
        contents = (params.replace("\nlr: auto ", rate).encode(), text.encode(), paths.SUMMARY.read_bytes())
        reference = f"refs/exps/{head[:2]}/{head[2:]}/{cell.experiment(STUDY)}"
        stream += b"commit %s\ncommitter A <a@example.org> 1790000000 +0000\ndata 1\nx\n" % reference.encode()
        stream += b"from %s\n" % head.encode()
        for path, content in zip(IN_GIT, contents, strict=True):
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path.as_posix().encode(), len(content), content)
    git("fast-import", "--quiet", content=stream)


def measured(code: Path, words: Sequence[str], limit: int) -> Usage:
    """Return what a command of a version of the package takes, where this process is, in so many seconds of CPU."""
    run = (sys.executable, "-P", "-c", "from pipeline.commands import orbweaver; orbweaver()", *words)
    environment = os.environ | {"PYTHONPATH": str(code), "DVC_NO_ANALYTICS": "1"}
    started = time.monotonic()
    child = subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL)
    resource.prlimit(child.pid, resource.RLIMIT_CPU, (limit, limit))
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # The kernel kills at the limit.
    cut = child.returncode in (-signal.SIGKILL, -signal.SIGXCPU)
    if child.returncode and not cut:
        raise SystemExit(f"orbweaver {' '.join(words)} with {code}: ended with {child.returncode}")
    return Usage(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024, cut)


def measurements(count: int, codes: Sequence[Path], limit: int, commands: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what each of some commands takes on so many cells, with each version of the package.

    One that is cut has no successor: a synchronization has to be whole to be done again.
    """
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        make_project(Path("project").resolve(), count)
        with chdir("project"):
            write_cells()
            for number, code in enumerate(codes):
                shutil.rmtree("mlruns", ignore_errors=True)
                Path("mlflow.db").unlink(missing_ok=True)
                for name in commands:
                    words = COMMANDS[name]
                    usage = measured(code, words, limit)
                    yield {"cells": count, "code": number, "command": name} | usage._asdict()
                    if usage.cut and words == COMMANDS["sync"]:
                        break


def merge(measured: Sequence[dict[str, Any]], earlier: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the measurements of a file, with new ones in the place of earlier ones of the same command and cells."""

    def key(one: dict[str, Any]) -> tuple[Any, ...]:
        return one["cells"], one["code"], list(COMMANDS).index(one["command"])

    return [one for _, one in sorted({key(one): one for one in (*earlier, *measured)}.items())]


def main() -> None:
    """Measure and print; with --out, write a file too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", type=int, default=[30], help="how many, one after the other")
    parser.add_argument("--code", type=Path, action="append", help="a tree with the package; this one if none is named")
    parser.add_argument("--limit", type=int, default=3600, help="seconds of CPU, at which a command is cut")
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS), help="all by default")
    parser.add_argument("--out", type=Path, help="a folder for the result; what it has of other commands stays")
    arguments = parser.parse_args()
    codes = [code.resolve() for code in arguments.code or [ROOT]]
    result: dict[str, Any] = {"processor": provenance.processor(), "versions": provenance.versions(), "measured": []}
    for count in arguments.cells:
        for one in measurements(count, codes, arguments.limit, arguments.commands):
            print(json.dumps(one), flush=True)
            result["measured"].append(one)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        file = arguments.out / "many-cells.json"
        earlier = json.loads(file.read_text(encoding="utf-8"))["measured"] if file.exists() else []
        result["measured"] = merge(result["measured"], earlier)
        file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
