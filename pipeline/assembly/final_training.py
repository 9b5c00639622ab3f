"""One more training for a bundle: on all labeled images but those that calibrate it."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.assembly import networks, resumption, training
from pipeline.assembly.machine import Machine, machine
from pipeline.assembly.resumption import Resumption
from pipeline.assembly.run_record import run_record
from pipeline.core import digests, paths, provenance
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record, Runtime
from pipeline.core.stopping import StopRequest
from pipeline.datasets.prepared import dividing, groups, manifest, splits
from pipeline.datasets.prepared.manifest import Pair, Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks.network import Network
from pipeline.tracking.results import Results
from pipeline.training.kept_state import KeptState


class Final(NamedTuple):
    """A network that was trained for a bundle.

    Attributes:
        network: as its training left it.
        record: what it follows from.
        runtime: the experiment's, with the commit and the versions of this training.
        train: the rows that it was trained on.
        calibration: the rows that were held out to calibrate it; none where all images were to train it.
        keeper: keeps its state until the bundle is written.
    """

    network: Network
    record: Record
    runtime: Runtime
    train: Tensor
    calibration: Tensor
    keeper: KeptState


def train(recipe: Recipe, data: Packed, results: Results, *, held_out: float, stop: StopRequest) -> Final:
    """Train the recipe's network once more; test images are among those that train it.

    Args:
        recipe: the settings, which have to be the experiment's.
        data: the packed set.
        results: the experiment, finished.
        held_out: the fraction of each class that calibrates; 0 for none.
        stop: the request to stop.

    Raises:
        InputError: for settings that are not the experiment's, early stop, or classes too small to hold images out.
    """
    if results.repeats[0].record.recipe != recipe.settings():
        raise InputError(f"{paths.RECIPE}: not the settings of the experiment in metrics; run `dvc repro` first")
    if recipe.train.early_stop:
        raise InputError(
            f"--final: train.early_stop is {recipe.train.early_stop}, and a training on all images has none to stop "
            "by; bundle a repeat's network, or run the experiment with early_stop 0"
        )
    # At once: the user may commit while it trains.
    runtime = _runtime(results)
    # A number of its own, so a seed of its own.
    number = max(one.number for one in results.repeats) + 1
    on: Machine = machine(recipe)
    parts = divide(recipe, data, held_out=held_out, repeat=number)
    network = networks.initial(recipe, classes=len(data.classes), repeat=number).to(on.device)
    seen = {"train": parts["train"], "val": torch.empty(0, dtype=torch.long), "test": torch.empty(0, dtype=torch.long)}
    record = run_record(recipe, data, seen, network, on=on, repeat=number)
    keeping = Resumption(stop, recipe.checkpoint_every)
    keeper = keeping.keeper(resumption.follows_from(record, seen, data.sha256), name="bundle")
    training.run(
        recipe,
        network,
        data,
        seen,
        record,
        on=on,
        on_epoch=lambda _: None,
        alike=groups.read(),
        keeping=keeping,
        keeper=keeper,
    )
    return Final(network, record, runtime, parts["train"], parts["calibration"], keeper)


def _runtime(results: Results) -> Runtime:
    beginning = provenance.beginning()
    return results.repeats[0].runtime.model_copy(
        update={
            "git_commit": beginning.commit,
            "git_dirty": beginning.dirty,
            "git_changes": beginning.changes,
            "started": beginning.started,
            "versions": provenance.versions(),
        }
    )


def divide(recipe: Recipe, data: Packed, *, held_out: float, repeat: int) -> dict[str, Tensor]:
    """Return the rows of all images, divided class by class; copies of a photograph and named groups stay together.

    Raises:
        InputError: for a class of a single photograph, of which none can be held out.
    """
    if not held_out:
        return {"train": torch.arange(len(data.paths)), "calibration": torch.empty(0, dtype=torch.long)}
    digests.check(paths.MANIFEST, paths.PAIRS)
    rows = [row._replace(part="") for row in manifest.read(paths.MANIFEST, Row)]
    alike = dividing.together(recipe.data, rows, manifest.read(paths.PAIRS, Pair))
    seed = recipe.data.split.seed
    try:
        assigned = splits.split(rows, test=held_out, val=0.0, seed=seed, repeat=repeat, alike=alike)
    except InputError as error:
        raise InputError(f"{error}; or use `--calibration 0`, which holds out no images") from None
    number = {path: row for row, path in enumerate(data.paths)}
    train_rows = [number[one.path] for one in assigned if one.part == "train"]
    held = [number[one.path] for one in assigned if one.part != "train"]
    return {"train": torch.tensor(train_rows), "calibration": torch.tensor(held)}
