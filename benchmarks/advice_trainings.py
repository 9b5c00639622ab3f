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
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from advice_images import MADE, SETS, SIZES, cut, image_set
from advice_table import DIVISIONS, INNER, REPEATS, TABLE, Training, key_of, mend, table, trainings
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.advice import candidates
from pipeline.advice.candidates import Candidate
from pipeline.assembly import networks, run_record, training
from pipeline.assembly.machine import machine
from pipeline.assembly.transforms import eval_transform
from pipeline.core import paths
from pipeline.core.overrides import override
from pipeline.core.recipe import Recipe
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared import dividing
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.preview.overriding import read
from pipeline.stages import source, validate
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features

HERE = Path(__file__).resolve().parent
# A training has one thread, as all cores have a process.
WORDS = ["recipe=quick", "device=cpu", "threads=1"]
# Names of sets, and where their images are.
Sets = tuple[tuple[str, str], ...]


def recipe_of(one: Training) -> Recipe:
    """Return the settings of a training, as an advice has them."""
    divided = candidates.inner(REPEATS) if one.part == INNER else candidates.outer(REPEATS)
    settings = {**one.candidate.settings, **divided}
    return read([*WORDS, *(override(key, value) for key, value in settings.items())]).recipe


class Answers(NamedTuple):
    """The answers of a network that was trained once.

    Attributes:
        places: where the images of each part are in the manifest.
        right: whether each image of the test part is right.
        seconds: of the processor, for the training.
    """

    places: Mapping[str, list[int]]
    right: NDArray[np.bool_]
    seconds: float


def divided(recipe: Recipe, rows: Sequence[Row], repeat: int) -> dict[str, list[int]]:
    """Return the places in the manifest of the images of each part."""
    number = {one.path: place for place, one in enumerate(rows)}
    places: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for image in dividing.divided(recipe.data, rows, [], own=True, repeat=repeat):
        places[image.part].append(number[image.path])
    return places


def trained(recipe: Recipe, data: Packed, rows: Sequence[Row], repeat: int) -> Answers:
    """Train and test once, as the stages do.

    Args:
        recipe: the settings.
        data: the packed images, in the manifest's order.
        rows: their manifest.
        repeat: the number of division and seed.
    """
    places = divided(recipe, rows, repeat)
    parts = {name: torch.tensor(members, dtype=torch.long) for name, members in places.items()}
    on = machine(recipe)
    network = networks.initial(recipe, classes=len(data.classes), repeat=repeat)
    record = run_record.run_record(recipe, data, parts, network, on=on, repeat=repeat)
    started = time.process_time()
    training.run(recipe, network, data, parts, record, on=on, on_epoch=lambda _: None)
    seconds = time.process_time() - started
    rows_tested, view = parts["test"], eval_transform(recipe.data.sizes)
    images = Images(data.images, rows_tested, mean=data.mean, std=data.std, device=on.device, transform=view)
    logits, _ = scores_and_features(
        network.eval(), images, rows_tested, batch_size=recipe.train.batch_size, precision=on.precision
    )
    return Answers(places, logits.argmax(1).numpy() == data.labels[places["test"]], seconds)


def row(one: Training, answers: Answers) -> dict[str, Any]:
    """Return the table's row."""
    right = answers.right
    # An advice compares candidates image by image on inner divisions, and reads one number of the test part.
    bits = {"right": "".join(map(str, right.astype(int)))} if one.part == INNER else {}
    return {
        "set": one.set,
        "per_class": one.per_class,
        "candidate": one.candidate.name,
        "part": one.part,
        "repeat": one.repeat,
        "train": len(answers.places["train"]),
        "tested": len(right),
        "accuracy": round(float(right.mean()), 5),
        "seconds": round(answers.seconds, 2),
        **bits,
    }


def listed() -> list[Candidate]:
    """Return the candidates of the table: all, without augmentation but that of `modern`."""
    resolved = read(WORDS)
    section, unit = resolved.settings.values["recipes"][candidates.MODERN], resolved.recipe.train.budget.unit
    modern = candidates.modern(section, resolved.origin, unit=unit, given=())
    return candidates.candidates([], ["none"], own=resolved.recipe.network.backbone, more={candidates.MODERN: modern})


@cache
def cuts(sets: Sets) -> dict[tuple[str, int], tuple[Packed, list[Row]]]:
    """Return the cuts of all sets with their manifests, by name and number of images; read once a process."""
    side = read(WORDS).recipe.data.image_size
    whole = {name: image_set(where, side) for name, where in sets}
    return {(name, size): cut(whole[name], size) for name in whole for size in SIZES}


def divisions(sets: Sets) -> dict[str, list[list[int]]]:
    """Return which images each inner division of each cut tests."""
    recipe = read([*WORDS, *(override(key, value) for key, value in candidates.inner(REPEATS).items())]).recipe
    return {
        f"{name} {size}": [divided(recipe, rows, repeat)["test"] for repeat in range(1, REPEATS + 1)]
        for (name, size), (_, rows) in cuts(sets).items()
    }


def silent(sets: Sets, recipe: Recipe, name: str, per_class: int, *, repeat: int) -> Answers:
    """Train and test once on a cut, and print nothing."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return trained(recipe, *cuts(sets)[name, per_class], repeat)


def train(sets: Sets, one: Training) -> dict[str, Any]:
    """Return the row of a training."""
    return row(one, silent(sets, recipe_of(one), one.set, one.per_class, repeat=one.repeat))


def measure(sets: Sets, file: Path, minutes: float) -> int:
    """Append the rows that are missing, for so many minutes, and return how many are missing then."""
    there = {key_of(one) for one in table(file)}
    missing = [one for one in trainings([name for name, _ in sets], listed()) if one.key() not in there]
    file.parent.mkdir(parents=True, exist_ok=True)
    mend(file)
    DIVISIONS.write_text(json.dumps(divisions(sets)) + "\n", encoding="utf-8")
    until, added = time.monotonic() + 60 * minutes, 0
    with mapped(partial(train, sets), missing) as rows, file.open("a", encoding="utf-8") as target:
        for one in tqdm(rows, "trainings", len(missing), disable=None):
            target.write(json.dumps(one) + "\n")
            target.flush()
            added += 1
            if time.monotonic() > until:
                break
    return len(missing) - added


@contextlib.contextmanager
def workplace(words: Sequence[str]) -> Iterator[None]:
    """Go to a folder with all that a record is made of, where the weights of these settings are nobody else's."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for name in (paths.PARAMS, "dvc.yaml", "pipeline"):
            Path(name).symlink_to(HERE.parent / name)
        paths.RECIPE.parent.mkdir()
        validate.write(read(words).recipe)
        source.main()
        yield


def places(file: Path, parser: argparse.ArgumentParser) -> Sets:
    """Return the sets that a file names; leave the program where a place is not set in the environment."""
    sets = {name: os.path.expandvars(where) for name, where in yaml.safe_load(file.read_bytes()).items()}
    if unset := [f"{name}: {where}" for name, where in sets.items() if "$" in where]:
        parser.error(f"{file.name}: {unset[0]}: not set in the environment")
    return tuple((name, where if where in MADE else str(Path(where).resolve())) for name, where in sets.items())


def main() -> None:
    """Add to the table until it is whole or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--sets", type=Path, default=SETS)
    parser.add_argument("--minutes", type=float, default=240, help="then stop; the next call goes on")
    arguments = parser.parse_args()
    sets, file = places(arguments.sets, parser), arguments.table.resolve()
    with workplace(WORDS):
        left = measure(sets, file, arguments.minutes)
    print(f"{len(table(file))} trainings in {file.name}, {left} to go")


if __name__ == "__main__":
    main()
