"""The cells of a study as they would run: their settings, the key of their content, and whether DVC has them."""

import hashlib
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pipeline.config import Resolved
from pipeline.core import git, paths, provenance, seeding
from pipeline.core.errors import InputError
from pipeline.core.overrides import override, with_data_set
from pipeline.datasets.collect import bringing
from pipeline.experiments import cloning
from pipeline.preview import refusals
from pipeline.preview.overriding import UnknownKeyError, places, read_each
from pipeline.running import cell_refusals, own_files
from pipeline.running.executors.contract import Task
from pipeline.studies import set_for_all
from pipeline.studies.definition import Named

ValueT = TypeVar("ValueT")

# What a result follows from; how it is shown is none of it.
STAGES = ("collect", "copies", "split", "preprocess", "source", "train", "evaluate")
KEY_LENGTH = 12
EXPERIMENT = re.compile(rf"-([0-9a-f]{{{KEY_LENGTH}}})$")
# DVC's experiments, and answers about runs that were made again; see rerun_job.py.
RESULTS = (cloning.EXPERIMENTS, "refs/orbweaver/reproduced/*")


class Cell(NamedTuple):
    """One experiment of a study.

    Attributes:
        name: in the study.
        overrides: what is put into params.yaml, as after -S.
        resolved: params.yaml with them put in, resolved.
        key: over all that its result follows from; equal keys are one experiment.
        basis: over code and params.yaml, as the key was made from them, see `are_current`.
        own: the digest of the user's own files that it reads, by their place.
        same: the names of further cells that are this experiment.
    """

    name: str
    overrides: tuple[str, ...]
    resolved: Resolved
    key: str
    basis: str
    own: Mapping[str, str]
    same: tuple[str, ...] = ()

    def experiment(self, study: str) -> str:
        """Return the name of the experiment in DVC."""
        return f"{study}-{self.name}-{self.key}"

    def task(self, study: str) -> Task:
        """Return what an executor runs."""
        recipe = self.resolved.recipe
        images = recipe.data.model_dump(mode="json", include={"set", "image_size", "resize", "duplicates"})
        pretrained = [recipe.network.backbone, recipe.network.weights]
        shared = [images, recipe.options.get("data"), pretrained, places(self.resolved)]
        count = len(recipe.repeats)
        # Where the cell's clone has them.
        own = tuple(
            (str(paths.OWN_FOLDER.resolve()) if _is_own(place) else place, self.own[place]) for place in self.own
        )
        named = (self.name, self.experiment(study), self.overrides, count, recipe.device)
        return Task(*named, group=seeding.digest(shared), own=own)


def plan(named: Named, *, data: str | None = None, sets: Sequence[str] = ()) -> list[Cell]:
    """Return the cells of a study; cells that are one experiment are listed once.

    Args:
        named: the study.
        data: in place of the data set of every cell; where cells differ in it, only those that have it are returned.
        sets: further overrides, which win over the study's own.

    Raises:
        InputError: for the first cell that params.yaml cannot take, by its name, for two data sets, and for one that
            is to select cells and that none has.
    """
    selecting, for_all = set_for_all.selection(named, with_data_set(data, sets))
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    settings = named.study.settings()
    overrides = {name: _joined(named.study.set | own, for_all) for name, own in settings.items()}
    code, files = _code(), _files()
    listed: dict[str, Cell] = {}
    there: list[str] = []
    content_of = _content_of()
    with closing(read_each(overrides.values())) as read:
        for name, words in overrides.items():
            try:
                resolved = next(read)
            except UnknownKeyError as error:
                raise InputError(f"{named.file}: {cell_refusals.unknown_key(named.study, name, error)}") from None
            except InputError as error:
                reason = cell_refusals.in_its_words(str(error), named.study.set | settings[name])
                raise InputError(f"{named.file}: cell {name!r}: {reason}") from None
            there.append(resolved.recipe.data.set)
            if selecting and there[-1] != selecting:
                continue
            cell = _cell(name, words, resolved, code, basis=files, content_of=content_of)
            first = listed.get(cell.key)
            listed[cell.key] = first._replace(same=(*first.same, name)) if first else cell
    set_for_all.check_selection(named, selecting, listed, there)
    return list(listed.values())


def kept_name(planned: Sequence[Cell], name: str) -> str:
    """Return the name under which a cell is listed, which may be that of another one that is the same experiment.

    A cell that was not selected is not listed; its own name is returned.
    """
    return next((cell.name for cell in planned if name in (cell.name, *cell.same)), name)


def _joined(settings: Mapping[str, Any], given: Sequence[str]) -> tuple[str, ...]:
    """Return a cell's own overrides, without those that the user replaces, then the user's."""
    taken = {word.partition("=")[0] for word in given}
    return (*(override(key, value) for key, value in settings.items() if key not in taken), *given)


def _cell(
    name: str,
    words: tuple[str, ...],
    resolved: Resolved,
    code: str,
    *,
    basis: str,
    content_of: Callable[[Path], str],
) -> Cell:
    named = places(resolved)
    if _is_own(named.get("folder", "")):
        # DVC runs a cell in a copy of what git knows, and photographs are not in git.
        words = (*words, override("folder", str(paths.OWN_FOLDER.resolve())))
    recipe = resolved.recipe.model_dump(mode="json", exclude={"recipe", "cite", "checkpoint_every", "mlflow", "naming"})
    own = {place: content_of(Path(place)) for place in named.values()}
    content = {"recipe": recipe, "places": {key: [place, own[place]] for key, place in named.items()}}
    return Cell(name, words, resolved, seeding.digest(content | {"code": code})[:KEY_LENGTH], basis, own)


def _is_own(folder: str) -> bool:
    return Path(folder) == paths.OWN_FOLDER


def are_current(planned: Sequence[Cell]) -> bool:
    """Return whether code, params.yaml and the user's own files are as they were when cells were planned.

    Cells run with the files of the moment at which they begin, which may be hours later, and have the key of the plan.
    """
    files, content_of = _files(), _content_of()
    own = {place: digest for cell in planned for place, digest in cell.own.items()}
    return all(cell.basis == files for cell in planned) and all(
        content_of(Path(place)) == digest for place, digest in own.items()
    )


def check_places(planned: Iterable[Cell]) -> None:
    """Refuse the user's own files that a cell names and that cannot be used; each cell would fail at them by itself.

    Raises:
        InputError: for the first such cell, by its name.
    """
    # Cells share their files, and a folder is listed each time.
    first: dict[tuple[str, str, str], Cell] = {}
    for cell in planned:
        for key, place in places(cell.resolved).items():
            first.setdefault((cell.resolved.recipe.data.set, key, place), cell)
    for (data, key, place), cell in first.items():
        try:
            if key == "weights_file":
                refusals.check_weights_file(place)
            else:
                bringing.check(data, place)
        except InputError as error:
            raise InputError(f"cell {cell.name!r}: {error}") from None


def _files() -> str:
    return seeding.digest([_code(), hashlib.sha256(paths.PARAMS.read_bytes()).hexdigest()])


def _code() -> str:
    # Cells run in copies of what git tracks; a file of an editor beside it is in none.
    return provenance.code_hash(STAGES, tracked=True)


def _content_of() -> Callable[[Path], str]:
    # Cells share their photographs, of which there may be many thousands.
    return cache(partial(own_files.digest, paths.root()))


def finished(root: Path) -> dict[str, str]:
    """Return the revision of every experiment of any study that DVC has, by key."""
    words = ("git", "for-each-ref", "--format=%(objectname) %(refname)", *RESULTS)
    try:
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed, and a study keeps its experiments in git; install it") from None
    if done.returncode:
        git.check_owner(root)
        raise InputError(f"{root}: no git repository; a study's experiments are kept in git: git init, then commit all")
    lines = (line.split(" ", 1) for line in done.stdout.splitlines())
    return by_key((name, revision) for revision, name in lines)


def by_key(experiments: Iterable[tuple[str, ValueT]]) -> dict[str, ValueT]:
    """Return the value of each experiment that is a cell, by its key instead of DVC's name or reference.

    >>> by_key([("mine-head-0123456789ab", 1), ("by-hand", 2)])
    {'0123456789ab': 1}
    """
    return {key: value for name, value in experiments if (key := key_of(name))}


def key_of(experiment: str) -> str:
    """Return the key in DVC's name for a cell; empty where it has none.

    >>> key_of("mine-head-0123456789ab")
    '0123456789ab'
    """
    match = EXPERIMENT.search(experiment)
    return match[1] if match else ""


def trainings(cells: Sequence[Cell]) -> int:
    """Return the number of networks that the cells train, one a repeat."""
    return sum(len(cell.resolved.recipe.repeats) for cell in cells)
