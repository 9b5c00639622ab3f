"""Bundles scored on labeled photographs that are new to them, one beside the other."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.applying import apply
from pipeline.bundles.bundle import Bundle
from pipeline.bundles.predictions import Prediction
from pipeline.core.errors import InputError
from pipeline.datasets.collect import left_out, metadata, parts
from pipeline.datasets.collect.listing import OUR_FILES, escaped, listed, quoted, walk
from pipeline.datasets.prepared.manifest import Rejected
from pipeline.evaluation import scores
from pipeline.evaluation.compare.experiments import Experiment, Trial

# Features so near those of a training photograph are its own: rounded to float16 they are up to 0.03 from themselves.
# Other photographs have some tenths.
SAME = 0.04
# A bundle is one network, as it is: it has no repeats.
ONLY = 1


class Labeled(NamedTuple):
    """A photograph with its class, and its group, "" where the user named none."""

    file: Path
    label: str
    group: str


class LabeledFolder(NamedTuple):
    """The labeled photographs of a folder, sorted, and lines on its other files."""

    photographs: list[Labeled]
    left_out: list[str]


class Scored(NamedTuple):
    """The scores of a bundle on labeled photographs.

    Attributes:
        experiment: the bundle as `comparison.compare` takes it, with a single trial.
        scores: as `scores.scores` returns them, of the bundle's probabilities.
        unusable: why a file cannot be used, by its path.
        seen: files whose features are those of a training photograph; None where the bundle has none to tell by.
    """

    experiment: Experiment
    scores: Mapping[str, Any]
    unusable: Mapping[str, str]
    seen: Sequence[str] | None


def labeled(folder: Path) -> LabeledFolder:
    """Return the labeled photographs of a folder: its class folders', or those of its metadata.csv.

    Of a folder with parts these are its test part's.

    Raises:
        InputError: for a folder without any, and for a table that lists a file which is not there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with a folder for each class, or with {metadata.NAME}")
    table = metadata.read(folder)
    if table and table.has("label"):
        every = (file for top in listed(folder, {*OUR_FILES, metadata.NAME}) for file in _files(top))
        files = [(file, "", "") for file in every]
    else:
        files = [(file, one.label, one.part) for one in parts.class_folders(folder) for file in walk(one.folder)]
    names = {file: file.relative_to(folder).as_posix() for file, _, _ in files}
    if table:
        metadata.check_listed(folder, table, names.values())
    photographs, rejected = [], []
    for file, label, part in files:
        entry = table.entry(names[file]) if table else metadata.NOTHING
        if table and (reason := table.missing(names[file])):
            rejected.append(Rejected(escaped(names[file]), reason))
        elif (part or entry.part) in ("", parts.TEST):
            photographs.append(Labeled(file, label or entry.label, entry.group))
    if not photographs:
        raise InputError(f"{folder}: no labeled photograph; put them into a folder for each class, or list them")
    return LabeledFolder(sorted(photographs), left_out.summary(rejected, folder))


def spelled(photographs: Sequence[Labeled], classes: Sequence[str], folder: Path) -> list[Labeled]:
    """Return photographs with their classes as a network spells them: macOS has other Unicode forms than a keyboard.

    Raises:
        InputError: for a class that the network does not know, as it could not be right, or knows in two other forms.
    """
    spelling = {}
    for label in sorted({one.label for one in photographs}):
        alike = [one for one in classes if _form(one) == _form(label)]
        if not alike:
            raise InputError(
                f"{folder}: the class {quoted(label)} is none of the bundle's ({', '.join(map(quoted, classes))}); "
                "rename it, or leave its photographs out"
            )
        if label not in alike and len(alike) > 1:
            raise InputError(
                f"{folder}: the class {label!a} may be each of the bundle's {' and '.join(map(ascii, alike))}; rename "
                "it to one of them"
            )
        spelling[label] = label if label in alike else alike[0]
    return [one._replace(label=spelling[one.label]) for one in photographs]


def score(
    name: str, loaded: Bundle, photographs: Sequence[Labeled], on_batch: Callable[[int], object] = lambda _: None
) -> Scored:
    """Score a bundle on labeled photographs, each decoded and predicted as `orbweaver predict` does.

    Args:
        name: what it is called.
        loaded: the bundle.
        photographs: of its classes, spelled as it does.
        on_batch: called with the number of files of each batch.

    Raises:
        InputError: where no file can be used.
    """
    classes = loaded.description.classes
    said: list[Prediction] = []
    with apply(loaded, [str(one.file) for one in photographs], top=len(classes)) as batches:
        for batch in batches:
            said += [one.prediction for one in batch]
            on_batch(len(batch))
    usable = [(one, each) for one, each in zip(photographs, said, strict=True) if not each.error]
    unusable = {each.path: each.error for each in said if each.error}
    if not usable:
        file, reason = next(iter(unusable.items()))
        raise InputError(f"no photograph can be used, the first is {file}: {reason}")
    place = {label: number for number, label in enumerate(classes)}
    actual = np.array([place[one.label] for one, _ in usable])
    probabilities = _probabilities([each for _, each in usable], place)
    values = scores.scores(actual, scores.logits_of(probabilities), classes)
    trial = Trial(
        right={str(one.file): each.label == one.label for one, each in usable},
        train=loaded.description.origin.parts["train"],
        scores={key: values[key] for key in scores.SCORES if key in values},
        groups={str(one.file): one.group for one, _ in usable if one.group},
    )
    doubts = [(each.path, each.doubt) for _, each in usable]
    tells = loaded.certainty is not None
    seen = [path for path, doubt in doubts if doubt and doubt.distance <= SAME] if tells else None
    return Scored(Experiment(name, {ONLY: trial}), values, unusable, seen)


def _form(label: str) -> str:
    return unicodedata.normalize("NFC", label)


def _files(place: Path) -> Iterator[Path]:
    """Yield a file, or the files of a folder."""
    yield from walk(place) if place.is_dir() else [place]


def _probabilities(said: Sequence[Prediction], place: Mapping[str, int]) -> NDArray[np.float64]:
    """Return the probabilities (n, K) of predictions that have those of every class."""
    probabilities = np.zeros((len(said), len(place)))
    for row, one in enumerate(said):
        for guess in one.top:
            probabilities[row, place[guess.label]] = guess.probability
    return probabilities
