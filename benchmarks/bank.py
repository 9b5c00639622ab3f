"""Classifiers on frozen features beside strategy 1 on the same features, on real photographs.

    REAL_DATA=/data/real python benchmarks/bank.py --out benchmarks/results

For `clothing10`: what `orbweaver bank` says of four frozen networks from the 600 training photographs, with what the
same logistic regression gets on the 372 test photographs, which the command never sees. Then strategy 1, the head
trained by the project's own loop, at several budgets and rates, each with three seeds, compared with the logistic
regression on the same test photographs as `orbweaver compare` does. The loop reads the very features of the bank: what
differs is the optimizer, its budget and its decay alone.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.assembly import networks
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.machine import machine
from pipeline.assembly.training_plan import training_plan
from pipeline.bank import features, folds, nested, probes
from pipeline.bank.features import Frozen
from pipeline.bank.folds import Examples
from pipeline.config import Resolved
from pipeline.core import provenance, seeding
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared import groups
from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.pretrained import copies
from pipeline.preview import at_hand
from pipeline.preview.images import look
from pipeline.preview.overriding import read
from pipeline.preview.training_part import TrainingPart
from pipeline.training import contract, loop

FILES = {
    "efficientnet_lite0": "",
    **{name: f"weights/{name}.safetensors" for name in ("mobilenet_v2", "resnet18", "resnet50")},
}
# Rates and epochs: the rate of `quick` with the epochs of docs/ten-minutes.md among others, and those of `defaults`.
TRIED = [(2e-3, 5), (2e-3, 20), (2e-3, 50), (2e-3, 100), (1e-2, 60)]
SEEDS = (1, 2, 3)


class Read:
    """Features in the place of images: what the loop's frozen prefix would give."""

    device, varies, side = torch.device("cpu"), False, 0

    def __init__(self, values: Tensor) -> None:
        self._values = values

    def batch(self, rows: Tensor, _random_parameters: Tensor | None = None) -> Tensor:
        """Return the features of these rows."""
        return self._values[rows]

    def placed(self, rows: Tensor, _random_parameters: Tensor | None = None) -> tuple[Tensor, None]:
        """Return the rows."""
        return rows, None

    def random_parameters(self, _rows: Tensor, **_: int) -> None:
        """Return nothing: no image varies."""

    def free_memory(self) -> int:
        """Return more than is needed."""
        return sys.maxsize


def head_alone(recipe: Recipe, classes: int, seed: int) -> Network:
    """Return the network of strategy 1 that passes features on to its head, which starts as a training's does."""
    torch.manual_seed(seeding.derive("network", seed))
    network = build(networks.plan(recipe, classes=classes), pretrained=None)
    whole = network.run

    def run(x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        return x if stop == network.head_start else whole(x, start=max(start, network.head_start), stop=stop)

    network.run = run  # type: ignore[method-assign]
    return network


def trained(resolved: Resolved, train: Examples, test: Examples, *, seed: int) -> np.ndarray[Any, Any]:
    """Return which test images strategy 1 tells right."""
    recipe, classes = resolved.recipe, len(np.unique(train.labels))
    network = head_alone(recipe, classes, seed)
    images: Any = Read(torch.from_numpy(train.features))
    every = torch.arange(len(train.labels))
    examples = contract.Examples(images, torch.from_numpy(train.labels), every, every[:0])
    plan = training_plan(recipe, network)
    loop.fit(network, examples, loop_settings(recipe), seed=seed, plan=plan, name=None)
    network.eval()
    with torch.inference_mode():
        scores = network.run(torch.from_numpy(test.features), start=network.head_start)
    right: np.ndarray[Any, Any] = scores.argmax(1).numpy() == test.labels
    return right


def compared(ours: list[np.ndarray[Any, Any]], regression: np.ndarray[Any, Any], train: int) -> dict[str, Any]:
    """Return the difference in accuracy, ours less the regression's, with its interval and verdict."""

    def experiment(name: str, rights: list[np.ndarray[Any, Any]]) -> Experiment:
        named = [{str(number): bool(one) for number, one in enumerate(right)} for right in rights]
        return Experiment(name, {seed: Trial(right, train) for seed, right in zip(SEEDS, named, strict=True)})

    both = [experiment("strategy 1", ours), experiment("regression", [regression] * len(SEEDS))]
    pair = comparison.compare(both).pairs[0]
    ends = pair.interval()
    return {"difference": pair.difference, "interval": list(ends) if ends else None, "verdict": pair.verdict}


class Measured(NamedTuple):
    """The bank's own measure of one backbone at one image size.

    Attributes:
        train: features of the training photographs.
        test: those of the test photographs.
        right: which test photographs the logistic regression gets right.
        content: estimates and accuracies of all classifiers, and speed.
    """

    train: Examples
    test: Examples
    right: np.ndarray[Any, Any]
    content: dict[str, Any]


def measured(setting: list[str], part: TrainingPart, is_train: np.ndarray[Any, Any]) -> Measured:
    """Return what the classifiers give on the frozen features of an experiment."""
    resolved = read(setting)
    recipe = resolved.recipe
    frozen = Frozen(
        recipe.network, recipe.data.sizes, recipe.data.packing, at_hand.pretrained(resolved) or {}, machine(recipe)
    )
    made = features.features(frozen, [row.sha256 for row in part.rows], partial(part.packed, recipe))
    whole = Examples(made.values, part.labels, part.groups)
    train, test = whole.of(np.flatnonzero(is_train)), whole.of(np.flatnonzero(~is_train))
    fitted = {kind: probes.fitted(kind, train, seed=folds.SEED) for kind in probes.PROBES}
    right = {kind: one.predict(test.features) == test.labels for kind, one in fitted.items()}
    estimated = nested.as_data(nested.estimates(train, name=recipe.network.backbone))
    for kind, one in estimated.items():
        one["test"] = float(right[kind].mean())
    content = {"images_per_second": made.images_per_second, "width": whole.features.shape[1], "probes": estimated}
    return Measured(train, test, right[probes.LOGISTIC], content)


def measure(setting: list[str], part: TrainingPart, is_train: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return all of one backbone."""
    one = measured(setting, part, is_train)
    return one.content | {"strategy_1": [tried(setting, one.train, one.test, one.right, each) for each in TRIED]}


def tried(
    setting: list[str], train: Examples, test: Examples, regression: np.ndarray[Any, Any], each: tuple[float, int]
) -> dict[str, Any]:
    """Return strategy 1 at one rate and budget."""
    lr, epochs = each
    resolved = read([*setting, "freeze=1", f"lr={lr}", f"budget={epochs}"])
    rights = [trained(resolved, train, test, seed=seed) for seed in SEEDS]
    accuracies = [float(right.mean()) for right in rights]
    return {
        "lr": lr,
        "epochs": epochs,
        "accuracies": accuracies,
        "mean": fmean(accuracies),
        **compared(rights, regression, len(train.labels)),
    }


def with_all(resolved: Resolved, act: Callable[[TrainingPart, np.ndarray[Any, Any]], Any]) -> Any:
    """Call with the training and test photographs, and which of them are to train on."""
    with tempfile.TemporaryDirectory() as scratch:
        seen = look(resolved, Path(scratch) / "images")
        rows = [row for row in seen.rows if row.part in ("train", "test")]
        pairs, _ = copies.find(seen.rows, seen.folder)
        alike = groups.grouped(pairs)
        numbers = groups.numbered([row.path for row in rows], alike)
        return act(
            TrainingPart(rows, seen.folder, numbers, seen.title, 1), np.array([row.part == "train" for row in rows])
        )


def words(place: Path, name: str) -> list[str]:
    """Return the experiment of a backbone on `clothing10`, both below a folder, as after -S."""
    file = [f"weights_file={place / FILES[name]}", "weights=file"] if FILES[name] else []
    return ["data=folder", f"folder={place / 'clothing10'}", f"backbone={name}", *file]


def arguments(parser: argparse.ArgumentParser) -> tuple[Any, Path]:
    """Return the arguments and the folder of real photographs and weights."""
    parser.add_argument("--out", type=Path, help="a folder for the result")
    given = parser.parse_args()
    if not (real := os.environ.get("REAL_DATA")):
        parser.error("REAL_DATA: not set; the folder that holds clothing10 and weights")
    return given, Path(real).resolve()


def publish(content: dict[str, Any], name: str, out: Path | None) -> None:
    """Print the result as JSON, and write it into a folder where one is named."""
    text = json.dumps({"versions": provenance.versions(), **content}, indent=2) + "\n"
    print(text)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Measure and print; with --out, write a file too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=list(FILES), choices=list(FILES))
    given, place = arguments(parser)

    def each(part: TrainingPart, is_train: np.ndarray[Any, Any]) -> dict[str, Any]:
        names = tqdm(given.backbones, "backbones", disable=None)
        return {name: measure([*words(place, name), "image_size=224"], part, is_train) for name in names}

    publish({"backbones": with_all(read(words(place, next(iter(FILES)))), each)}, "bank.json", given.out)


if __name__ == "__main__":
    main()
