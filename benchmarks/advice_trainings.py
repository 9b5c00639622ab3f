"""The table that the proof of `orbweaver advise` rests on: every candidate, trained on every cut of every image set.

    REAL_DATA=/data/real python benchmarks/advice_trainings.py --minutes 60

A cut is so many images of each class to learn from, drawn once; up to a hundred others of each class are its test part.
Each candidate is trained on inner divisions of what it may learn from, as the trials of an advice are, and on all of it
with as many seeds, which is tested on the test part. Recipe `quick`: the bundled network at 96 pixels. A row a training
is appended to the table, and trainings that are in it are not run again, so that it can grow in any number of calls.
`advice_regret.py` reads it. A set of your own joins by a line in advice_sets.yaml.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import yaml
from advice_images import MADE, SETS, SIZES, cut, image_set
from advice_table import DIVISIONS, INNER, REPEATS, TABLE, Training, key_of, mend, table, trainings
from tqdm import tqdm

from pipeline.advice import candidates
from pipeline.advice.candidates import Candidate
from pipeline.assembly import networks, run_record, training
from pipeline.assembly.machine import machine
from pipeline.assembly.transforms import eval_transform
from pipeline.commands.overriding import read
from pipeline.core import paths, seeding
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared import dividing
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.stages import source, validate
from pipeline.studies.definition import override
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features

HERE = Path(__file__).resolve().parent
WORDS = ["recipe=quick", "device=cpu", "threads=1"]


def recipe_of(one: Training) -> Recipe:
    """Return the settings of a training, as an advice has them."""
    divided = candidates.inner(REPEATS) if one.part == INNER else candidates.outer(REPEATS)
    settings = {**one.candidate.settings, **divided}
    return read([*WORDS, *(override(key, value) for key, value in settings.items())]).recipe


def tested(recipe: Recipe, rows: list[Row], repeat: int) -> list[int]:
    """Return the places in the manifest of the images that an inner division tests."""
    number = {one.path: place for place, one in enumerate(rows)}
    assigned = dividing.divided(recipe.data, rows, [], own=True, repeat=repeat)
    return [number[one.path] for one in assigned if one.part == "test"]


def row(one: Training, recipe: Recipe, data: Packed, rows: list[Row]) -> dict[str, Any]:
    """Train and test once, and return the table's row."""
    assigned = dividing.divided(recipe.data, rows, [], own=True, repeat=one.repeat)
    number = {path: place for place, path in enumerate(data.paths)}
    places: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for image in assigned:
        places[image.part].append(number[image.path])
    parts = {name: torch.tensor(members, dtype=torch.long) for name, members in places.items()}
    on = machine(recipe)
    network = networks.initial(recipe, classes=len(data.classes), repeat=one.repeat)
    record = run_record.run_record(recipe, data, parts, network, on=on, repeat=one.repeat)
    started = time.process_time()
    training.run(recipe, network, data, parts, record, on=on, on_epoch=lambda _: None)
    seconds = time.process_time() - started
    tested = parts["test"]
    view = eval_transform(recipe.data.sizes)
    images = Images(data.images, tested, mean=data.mean, std=data.std, device=on.device, transform=view)
    logits, _ = scores_and_features(
        network.eval(), images, tested, batch_size=recipe.train.batch_size, precision=on.precision
    )
    right = logits.argmax(1).numpy() == data.labels[tested.numpy()]
    # An advice compares candidates image by image on inner divisions, and reads one number of the test part.
    bits = {"right": "".join(map(str, right.astype(int)))} if one.part == INNER else {}
    return {
        "set": one.set,
        "per_class": one.per_class,
        "candidate": one.candidate.name,
        "part": one.part,
        "repeat": one.repeat,
        "train": len(parts["train"]),
        "tested": len(tested),
        "accuracy": round(float(right.mean()), 5),
        "seconds": round(seconds, 2),
        **bits,
    }


def listed() -> list[Candidate]:
    """Return the candidates of the table: all, without augmentation but that of `modern`."""
    resolved = read(WORDS)
    section, unit = resolved.settings.values["recipes"][candidates.MODERN], resolved.recipe.train.budget.unit
    modern = candidates.modern(section, resolved.origin, unit=unit, given=())
    return candidates.candidates([], ["none"], own=resolved.recipe.network.backbone, more={candidates.MODERN: modern})


class Worker:
    """What a process holds: the cuts of all sets, in a folder with what records are made of."""

    cuts: Mapping[tuple[str, int], tuple[Packed, list[Row]]] = {}

    @classmethod
    def start(cls, sets: dict[str, str], folder: str) -> None:
        """Read all sets once, on one thread, as all cores have a process."""
        torch.set_num_threads(1)
        os.chdir(folder)
        side = read(WORDS).recipe.data.image_size
        whole = {name: image_set(where, side) for name, where in sets.items()}
        cls.cuts = {(name, size): cut(whole[name], size) for name in sets for size in SIZES}

    @classmethod
    def divisions(cls) -> dict[str, list[list[int]]]:
        """Return which images each inner division of each cut tests."""
        recipe = read([*WORDS, *(override(key, value) for key, value in candidates.inner(REPEATS).items())]).recipe
        return {
            f"{name} {size}": [tested(recipe, rows, repeat) for repeat in range(1, REPEATS + 1)]
            for (name, size), (_, rows) in cls.cuts.items()
        }

    @classmethod
    def train(cls, one: Training) -> dict[str, Any]:
        """Return the row of a training, which prints nothing."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return row(one, recipe_of(one), *cls.cuts[one.set, one.per_class])


def measure(sets: dict[str, str], file: Path, minutes: float, folder: str) -> int:
    """Append the rows that are missing, for so many minutes, and return how many are missing then."""
    there = {key_of(one) for one in table(file)}
    missing = [one for one in trainings(list(sets), listed()) if one.key() not in there]
    file.parent.mkdir(parents=True, exist_ok=True)
    mend(file)
    until, cores, waiting = time.monotonic() + 60 * minutes, seeding.cores(), iter(missing)
    with (
        ProcessPoolExecutor(cores, get_context("spawn"), initializer=Worker.start, initargs=(sets, folder)) as pool,
        tqdm(total=len(missing), desc="trainings", disable=None) as bar,
        file.open("a", encoding="utf-8") as target,
    ):
        DIVISIONS.write_text(json.dumps(pool.submit(Worker.divisions).result()) + "\n", encoding="utf-8")
        running = {pool.submit(Worker.train, one) for one in islice(waiting, cores)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                target.write(json.dumps(one.result()) + "\n")
                target.flush()
                bar.update()
            if time.monotonic() < until:
                running |= {pool.submit(Worker.train, one) for one in islice(waiting, len(done))}
    return len(missing) - int(bar.n)


def main() -> None:
    """Add to the table until it is whole or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--sets", type=Path, default=SETS)
    parser.add_argument("--minutes", type=float, default=240, help="then stop; the next call goes on")
    given = parser.parse_args()
    sets = {name: os.path.expandvars(where) for name, where in yaml.safe_load(given.sets.read_bytes()).items()}
    if unset := [f"{name}: {where}" for name, where in sets.items() if "$" in where]:
        parser.error(f"{given.sets.name}: {unset[0]}: not set in the environment")
    sets = {name: where if where in MADE else str(Path(where).resolve()) for name, where in sets.items()}
    place = given.table.resolve()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        # What a record is made of, in a folder where the weights of this table are nobody else's.
        for name in (paths.PARAMS, "dvc.yaml", "pipeline"):
            (Path(scratch) / name).symlink_to(HERE.parent / name)
        os.chdir(scratch)
        paths.RECIPE.parent.mkdir()
        validate.write(read(WORDS).recipe)
        source.main()
        left = measure(sets, place, given.minutes, scratch)
    print(f"{len(table(place))} trainings in {place.name}, {left} to go")


if __name__ == "__main__":
    main()
