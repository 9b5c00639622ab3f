"""`make faults N=50`: known faults at random moments, and a table of how many are survived."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
import clones
import full_disk
import killing
import whole_runs

Trial = Callable[[random.Random], object]


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
def filled() -> Iterator[Trial]:
    """Give a stage, any of them, whose disk is full at some point."""
    with tempfile.TemporaryDirectory() as folder, full_disk.small_disk(Path(folder)) as disk:
        prepared = full_disk.prepare(disk, Path(folder))
        yield lambda chance: full_disk.filled(prepared, chance.choice(full_disk.STAGES), chance)


@contextmanager
def repro() -> Iterator[Trial]:
    """Give a whole run of DVC that is killed anywhere; the count of plain `dvc repro` is printed beside."""
    ended: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_runs.prepare(Path(folder))
        yield lambda chance: ended.append(whole_runs.repro_killed(whole, chance))
    tqdm.write(f"plain `dvc repro` finished by itself in {ended.count('dvc')} of {len(ended)}")


def kinds() -> Iterator[tuple[str, Callable[[], "Iterator[Trial]"]]]:
    """Yield every kind of fault with what sets it up."""
    for variant in killing.VARIANTS:
        for trial in killing.TRIALS:
            yield f"training, {variant}: {trial}", lambda v=variant, t=trial: killed(v, t)
    yield "full disk, any stage", filled
    yield "kill -9 of dvc repro, then make repro", repro


def main() -> None:
    """Run each kind of fault so often, and print a row for each; the status is 1 where one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the first; each time has its own")
    parser.add_argument("--only", default="", help="kinds whose name has this")
    given = parser.parse_args()
    rows, failed = [], False
    for name, set_up in kinds():
        if given.only not in name:
            continue
        seeds = range(given.seed, given.seed + given.times)
        try:
            with set_up() as trial:
                passed = sum(survived(trial, seed, name) for seed in tqdm(seeds, desc=name, disable=None))
        except PermissionError as error:
            rows.append(f"| {name} | 0 | 0 | {error} |")
            continue
        failed |= passed < len(seeds)
        rows.append(f"| {name} | {len(seeds)} | {passed} | {seeds[0]} to {seeds[-1]} |")
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
