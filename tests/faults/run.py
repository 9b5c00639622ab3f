"""`make faults N=50 KINDS="flips writers"`: known faults at random moments, and a table of how many are survived."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "datasets"))
import clones
import copied
import experiments
import flips
import full_disk
import killing
import whole_runs
from experiments import Edited

Trial = Callable[[random.Random], object]


class Kind(NamedTuple):
    """One kind of fault: what the table says of it, what sets its trials up, and how many cases one trial counts."""

    title: str
    set_up: Callable[[], AbstractContextManager[Trial]]
    cases: int = 1


@contextmanager
def killed(variant: str, trial: str) -> Iterator[Trial]:
    """Give a training that is cut, in a clone of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (place := Path(folder) / "clone").mkdir()
        clone = clones.make_clone(place, Path(folder))
        killing.prepare(clone, variant)
        training = killing.undisturbed(clone)
        yield lambda chance: killing.TRIALS[trial](clone, training, chance)


@contextmanager
def in_a_copy(kind: str) -> Iterator[Trial]:
    """Give a training in a copy of the clone that is killed with the copy."""
    with tempfile.TemporaryDirectory() as folder:
        yield partial(copied.killed, copied.prepare(Path(folder), kind))


@contextmanager
def edited(trial: Callable[[Edited, random.Random], None]) -> Iterator[Trial]:
    """Give a command of DVC or ours that is killed with edits in the user's files."""
    with tempfile.TemporaryDirectory() as folder:
        yield partial(trial, experiments.prepare(Path(folder)))


@contextmanager
def filled() -> Iterator[Trial]:
    """Give a stage, any of them, whose disk is full at some point."""
    with tempfile.TemporaryDirectory() as folder, full_disk.small_disk(Path(folder)) as disk:
        (place := Path(folder) / "clone").mkdir()
        clone = clones.make_clone(place, Path(folder))
        clone.run("dvc", "repro")
        prepared = full_disk.prepare(clone, disk)
        yield lambda chance: full_disk.filled(prepared, chance.choice(full_disk.STAGES), chance)


@contextmanager
def repro() -> Iterator[Trial]:
    """Give a whole run of DVC that is killed anywhere; the count of plain `dvc repro` is printed beside."""
    ended: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_runs.prepare(Path(folder))
        yield lambda chance: ended.append(whole_runs.repro_killed(whole, chance))
    tqdm.write(f"plain `dvc repro` finished by itself in {ended.count('dvc')} of {len(ended)}")


@contextmanager
def flipped() -> Iterator[Trial]:
    """Give a wrong byte in a file of any kind, each kind and reader in turn."""
    with tempfile.TemporaryDirectory() as folder, flips.finished(Path(folder)) as cases:
        left: list[tuple[str, str]] = []

        def trial(chance: random.Random) -> None:
            if not left:
                left.extend(random.Random(len(cases)).sample(cases, len(cases)))
            flips.flipped(left.pop(), chance)

        yield trial


@contextmanager
def written() -> Iterator[Trial]:
    """Give 16 processes that write to a store of MLflow which is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        (place := Path(folder) / "clone").mkdir()
        clone = clones.make_stubbed(place, Path(folder))
        yield lambda _: flips.written_at_once(clone)


KINDS: Mapping[str, Kind] = {
    **{
        f"{'killed' if trial == killing.KILLED else 'stopped'}-{variant.split()[0]}": Kind(
            f"training, {variant}: {trial}", partial(killed, variant, trial)
        )
        for variant in killing.VARIANTS
        for trial in killing.TRIALS
    },
    "temp": Kind("training in a --temp copy: kill -9, then the same command", partial(in_a_copy, "temp")),
    "cell": Kind("training in a study's cell: kill -9, then the same command", partial(in_a_copy, "cell")),
    "disk": Kind("full disk, any stage", filled),
    "repro": Kind("kill -9 of dvc repro, then make repro", repro),
    "study": Kind("kill -9 of a study with edits, then the same command", partial(edited, experiments.study_killed)),
    "exp": Kind("kill -9 of dvc exp run with edits, then doctor --mend", partial(edited, experiments.run_killed)),
    "second": Kind(
        "kill -9 of dvc exp run as it sets up, another one, then doctor --mend",
        partial(edited, experiments.run_killed_and_another_run),
    ),
    "flips": Kind("a flipped bit, any file and reader", flipped),
    "writers": Kind(f"{flips.WRITERS} processes that write to a fresh store of MLflow", written, flips.WRITERS),
}


def main() -> None:
    """Run each kind of fault so often, and print a row for each; the status is 1 where one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the first; each time has its own")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"all by default: {', '.join(KINDS)}")
    given = parser.parse_args()
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    rows, failed = [], False
    for name in given.kinds or KINDS:
        kind, seeds = KINDS[name], range(given.seed, given.seed + given.times)
        try:
            with kind.set_up() as trial:
                passed = sum(survived(trial, seed, name) for seed in tqdm(seeds, desc=name, disable=None))
        except PermissionError as error:
            rows.append(f"| {kind.title} | 0 | 0 | {error} |")
            continue
        failed |= passed < len(seeds)
        counts = (len(seeds) * kind.cases, passed * kind.cases)
        rows.append(f"| {kind.title} | {counts[0]} | {counts[1]} | {seeds[0]} to {seeds[-1]} |")
        tqdm.write(rows[-1])
    print("\n".join(["", "| fault | n | passed | seeds |", "| --- | --- | --- | --- |", *rows]))
    raise SystemExit(failed)


def survived(trial: Trial, seed: int, name: str) -> bool:
    """Run a trial, and say what was lost where it was not survived."""
    try:
        trial(random.Random(seed))
    except AssertionError as error:
        tqdm.write(f"{name}, seed {seed}: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
