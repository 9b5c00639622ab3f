"""Plant faults that a person could make, one at a time, and see that the tests of their room catch each.

Mutmut and cosmic-ray change thousands of places mechanically and take no list of chosen faults, so this is neither. The
list is tests/mutants.yaml; a fault is planted in a copy of the tracked files, never in the working tree. In the end the
tests that caught something run once more without any fault, since a test that fails by itself has caught nothing.
"""

import argparse
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Seconds, many times what tests take; a fault that makes them hang is caught by that.
PATIENCE, WHOLE_PATIENCE, TIMEOUT = 300, 3600, "timeout"
WORDS = ("-x", "-q", *(("-n", "0") if find_spec("xdist") else ()))


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file` a text that is there once, `old`, becomes `new`.

    Attributes:
        name: what is wrong then, a sentence.
        tests: files or folders of which some test has to catch it.
        keyword: which of their tests, as after pytest's -k; empty for all.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    keyword: str = ""

    def planted(self, root: Path) -> str:
        """The file's text with the fault."""
        return (root / self.file).read_text(encoding="utf-8").replace(self.old, self.new)


@dataclass(frozen=True)
class Result:
    """What came of one fault: the test that caught it, empty where none did, and how long that took."""

    mutant: Mutant
    by: str
    seconds: float


def load() -> list[Mutant]:
    """Read the list."""
    text = Path(__file__).with_name("mutants.yaml").read_text(encoding="utf-8")
    listed = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return [Mutant(**{**one, "tests": tuple(one["tests"])}) for one in listed]


def problems(mutants: Sequence[Mutant], root: Path = ROOT) -> list[str]:
    """What is wrong with the list itself, a line each: a fault that no longer fits the code tests nothing."""
    names = [mutant.name for mutant in mutants]
    twice = [f"{name}: named twice" for name in sorted({name for name in names if names.count(name) > 1})]
    return twice + [f"{mutant.name}: {problem}" for mutant in mutants for problem in _problems(mutant, root)]


def _problems(mutant: Mutant, root: Path) -> Iterator[str]:
    yield from (f"there is no {path}" for path in (mutant.file, *mutant.tests) if not (root / path).exists())
    if mutant.old == mutant.new:
        yield "changes nothing"
    elif (root / mutant.file).is_file():
        if (times := (root / mutant.file).read_text(encoding="utf-8").count(mutant.old)) != 1:
            yield f"its old text is {times} times in {mutant.file}; write it anew"
        elif mutant.file.endswith(".py"):
            try:
                compile(mutant.planted(root), mutant.file, "exec", dont_inherit=True)
            except SyntaxError as error:
                yield f"it is no Python: {error}"


class Bench:
    """Copies of the tracked files in a folder, one a worker, in which faults are planted and tests run."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._tracked = folder / "tracked"
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        _copy_tracked(self._tracked)
        for number in range(workers):
            worker = folder / f"worker{number}"
            self._fresh(worker)
            _check_import(worker / "project", _environment(worker))
            self._free.put(worker)

    def outcome(self, mutant: Mutant | None, words: Sequence[str], *, patience: float) -> tuple[list[str], float]:
        """Which tests fail with a fault planted, or without any, and how long they took."""
        worker = self._free.get()
        try:
            self._fresh(worker)
            if mutant:
                (worker / "project" / mutant.file).write_text(mutant.planted(self._tracked), encoding="utf-8")
            started = time.monotonic()
            return self._run(worker, words, patience), time.monotonic() - started
        finally:
            self._free.put(worker)

    def stop(self) -> None:
        """End all that runs."""
        self._stopped = True
        for child in tuple(self._children):
            self._kill(child)

    def _kill(self, child: "subprocess.Popen[bytes]") -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        self._children.discard(child)

    def _run(self, worker: Path, words: Sequence[str], patience: float) -> list[str]:
        # Tests keep what they share beside their folder, and pytest its cache: nothing of one fault reaches the next.
        places = (f"--basetemp={worker / 'tmp/run'}", "-o", f"cache_dir={worker / 'tmp/cache'}")
        command = [sys.executable, "-m", "pytest", *WORDS, *places, *words]
        said = (worker / "tmp/said").open("w")
        ours = {"cwd": worker / "project", "env": _environment(worker), "stdin": subprocess.DEVNULL}
        with said, subprocess.Popen(command, **ours, stdout=said, stderr=said, start_new_session=True) as child:
            self._children.add(child)
            try:
                child.wait(0 if self._stopped else patience)
            except subprocess.TimeoutExpired:
                return [TIMEOUT]
            finally:
                # Also what a test has started and left.
                self._kill(child)
        last = worker / "tmp/cache/v/cache/lastfailed"
        failed = list(json.loads(last.read_text(encoding="utf-8"))) if last.exists() else []
        # 0: all passed, 1: some failed, 2: some could not be loaded; others are pytest's own trouble.
        if child.returncode not in (0, 1, 2) or bool(failed) == (child.returncode == 0):
            raise RuntimeError(
                f"pytest {' '.join(words)} ended with {child.returncode}:\n{Path(said.name).read_text()}"
            )
        return failed

    def _fresh(self, worker: Path) -> None:
        """Make the worker's copy anew, as a fault may have had tests write into it."""
        for folder in ("project", "tmp"):
            shutil.rmtree(worker / folder, ignore_errors=True)
        (worker / "tmp").mkdir(parents=True)
        shutil.copytree(self._tracked, worker / "project", symlinks=True)


def _copy_tracked(target: Path) -> None:
    """Copy the tracked files as they are now into a repository of their own, as some commands ask git."""
    for name in _said(ROOT, "git", "ls-files", "-z").split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    _said(target, "git", "init", "--quiet", "--template=")
    _said(target, "git", "add", "--all", "--force")
    _said(target, "git", "-c", "user.name=mutants", "-c", "user.email=mutants", "commit", "--quiet", "--message=all")


def _said(folder: Path, *command: str, **options: Any) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, **options).stdout.strip()


def _environment(worker: Path) -> dict[str, str]:
    """An installed orbweaver leads to the project itself, so the copy has to come first; bytecode is kept for all."""
    paths = {"PYTHONPATH": str(worker / "project"), "PYTHONPYCACHEPREFIX": str(worker.parent / "bytecode")}
    return os.environ | paths | {"PYTHONDONTWRITEBYTECODE": "", "OMP_NUM_THREADS": "1"}


def _check_import(project: Path, environment: dict[str, str]) -> None:
    asked = (sys.executable, "-c", "import pipeline; print(pipeline.__file__)")
    found = _said(project.parent, *asked, env=environment)
    if not Path(found).resolve().is_relative_to(project.resolve()):
        raise RuntimeError(f"{found} is imported in place of the copy in {project}")


def each(bench: Bench, mutants: Sequence[Mutant], jobs: int, *, whole: bool = False) -> Iterator[Result]:
    """Run the tests of each fault's room, or all that `make test` runs; the results as they come, a line for each."""

    def attempt(mutant: Mutant) -> Result:
        words = [] if whole else [*mutant.tests, *(("-k", mutant.keyword) if mutant.keyword else ())]
        failed, seconds = bench.outcome(mutant, words, patience=WHOLE_PATIENCE if whole else PATIENCE)
        return Result(mutant, failed[0] if failed else "", seconds)

    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(attempt, mutant) for mutant in mutants]
        try:
            for number, done in enumerate(as_completed(running), start=1):
                result = done.result()
                answer = f"caught by {result.by}" if result.by else "SURVIVED"
                print(f"[{number}/{len(mutants)}] {result.mutant.name}: {answer} ({result.seconds:.1f} s)", flush=True)
                yield result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            bench.stop()
            raise


def failing_anyway(bench: Bench, results: Sequence[Result]) -> list[str]:
    """Tests that caught a fault and fail without it too."""
    caught = sorted({result.by for result in results} - {"", TIMEOUT})
    return bench.outcome(None, ["--maxfail=0", *caught], patience=WHOLE_PATIENCE)[0] if caught else []


def main() -> int:
    """Run the faults that are asked for; 1 where one survives, or a test that caught one fails anyway."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only faults with one of these in their name or file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (default: cores)")
    parser.add_argument("--whole", action="store_true", help="run survivors against all that `make test` runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    asked = parser.parse_args()
    mutants = load()
    if found := problems(mutants):
        print("\n".join(found), file=sys.stderr)
        return 1
    started = time.monotonic()
    chosen = [one for one in mutants if not asked.words or any(w in f"{one.name} {one.file}" for w in asked.words)]
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), asked.jobs)
        results = list(each(bench, chosen, asked.jobs))
        if asked.whole and (left := [one.mutant for one in results if not one.by]):
            results = [one for one in results if one.by] + list(each(bench, left, asked.jobs, whole=True))
        anyway = failing_anyway(bench, results)
    survivors = [one.mutant.name for one in results if not one.by]
    if asked.json:
        asked.json.write_text(json.dumps({"results": [*map(asdict, results)], "failing_anyway": anyway}, indent=1))
    for line in (*(f"fails without any fault: {test}" for test in anyway), *(f"survived: {n}" for n in survivors)):
        print(line)
    print(f"{len(results) - len(survivors)} of {len(results)} caught, in {time.monotonic() - started:.0f} s")
    return 1 if survivors or anyway or not results else 0


if __name__ == "__main__":
    sys.exit(main())
