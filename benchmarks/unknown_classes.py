"""How well images of an unknown class are told by trained networks: the area under the ROC curve, class by class.

    REAL_DATA=/data/real python benchmarks/unknown_classes.py --out benchmarks/results

Each class of `clothing10` is left out in turn: a network of the recipe `quick` (blocks 3 and 4 and the head train, from
the bundled weights, at 96 pixels) learns the 540 training photographs of the nine others, as the stage `train` would
with one repeat. Then all of the 713 other photographs are scored, and those of the class left out are to be told from
the rest. Nothing is chosen on any of them. `uncertainty.py` has the same of frozen features.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from pipeline import config
from pipeline.assembly import networks, training_plan
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.machine import Machine, machine
from pipeline.assembly.transforms import eval_transform, train_transform
from pipeline.core import imagenet, paths, provenance, seeding
from pipeline.core.precision import autocast
from pipeline.core.recipe import Recipe
from pipeline.datasets.decoding import images as decoding
from pipeline.datasets.transforms.image_transform import ImageTransform
from pipeline.evaluation.uncertainty import outliers, temperature
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.pretrained import weights
from pipeline.training import contract, loop
from pipeline.training.images import Images
from pipeline.training.predict import pooled

PARTS = ("train", "validation", "test")
REPEAT = 1


class Photographs(NamedTuple):
    """The whole set, packed.

    Attributes:
        array: uint8 (n, 3, S, S).
        labels: (n,) class numbers.
        train: (n,) whether an image is one to train on.
        classes: K names.
    """

    array: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: NDArray[np.bool_]
    classes: tuple[str, ...]


class Outputs(NamedTuple):
    """Scores (n, K) of a network, and its features (n, D) of length 1."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


def experiment(threads: int | str) -> Recipe:
    """Return the recipe `quick` as it is."""
    values = config.read(Path(__file__).resolve().parents[1] / paths.PARAMS)
    axes = {"recipe": "quick", "repeats": [REPEAT], "threads": threads}
    return config.resolve(config.check(values | axes)).recipe


def read(folder: Path, recipe: Recipe) -> Photographs:
    """Return the photographs, decoded and resized as the stage `preprocess` does."""
    side = recipe.data.image_size
    classes = tuple(sorted(place.name for place in (folder / PARTS[0]).iterdir() if place.is_dir()))
    files = [
        (file, number, part)
        for part in PARTS
        for number, name in enumerate(classes)
        for file in sorted((folder / part / name).iterdir())
    ]
    array = np.empty((len(files), 3, side, side), np.uint8)
    for place, (file, *_) in enumerate(tqdm(files, "photographs", disable=None)):
        image = decoding.load(file, at_least=decoding.DRAFT * side).image
        small = decoding.resized(image, side, recipe.data.resize, interpolation=recipe.data.interpolation)
        array[place] = np.asarray(small).transpose(2, 0, 1)
    labels = np.array([number for _, number, _ in files])
    return Photographs(array, labels, np.array([part == PARTS[0] for *_, part in files]), classes)


def trained(recipe: Recipe, data: Photographs, left_out: int, on: Machine) -> Network:
    """Train a network on all classes but one, whose numbers close up."""
    row = np.flatnonzero(data.train & (data.labels != left_out))
    torch.manual_seed(seeding.derive("network", REPEAT))
    values = weights.fitting(weights.get(recipe, Path()), recipe.network.backbone)
    network = build(networks.plan(recipe, classes=len(data.classes) - 1), pretrained=values).to(on.device)
    rows, none = torch.from_numpy(row), torch.empty(0, dtype=torch.long)
    labels = torch.from_numpy(closed_up(data.labels, left_out))
    examples = contract.Examples(shown(data, rows, train_transform(recipe), on), labels, rows, none)
    plan = training_plan.training_plan(recipe, network)
    loop.fit(network, examples, loop_settings(recipe), seed=REPEAT, plan=plan, name=None)
    return network


def shown(data: Photographs, rows: Tensor, transform: ImageTransform, on: Machine) -> Images:
    """Return rows of the set with a transform."""
    return Images(data.array, rows, mean=imagenet.MEAN, std=imagenet.STD, device=on.device, transform=transform)


@torch.inference_mode()
def frozen(network: Network, data: Photographs, recipe: Recipe, on: Machine) -> Tensor:
    """Return the output of the frozen layers for all photographs, which is the same for all networks."""
    rows = torch.arange(len(data.labels))
    images = shown(data, rows, eval_transform(recipe.data.sizes), on)
    batches = rows.split(recipe.train.batch_size)
    with autocast(on.precision, on.device.type):
        return torch.cat([network.run(images.batch(one), stop=network.frozen_prefix()) for one in batches])


@torch.inference_mode()
def outputs(network: Network, maps: Tensor, recipe: Recipe, on: Machine) -> Outputs:
    """Return scores and features of photographs from what the frozen layers give for them."""
    logits, features = [], []
    for batch in maps.split(recipe.train.batch_size):
        with autocast(on.precision, on.device.type):
            x = network.run(batch, start=network.frozen_prefix(), stop=network.head_start)
            logits.append(network.run(x, start=network.head_start).float().cpu())
        features.append(pooled(x).float().cpu())
    return Outputs(torch.cat(logits).numpy(), outliers.normalized(torch.cat(features).numpy()))


def areas(
    network: Network, maps: Tensor, data: Photographs, left_out: int, recipe: Recipe, on: Machine
) -> dict[str, Any]:
    """Return the areas under the ROC curve of one class left out, and the accuracy on the others."""
    known, rest = data.train & (data.labels != left_out), ~data.train
    found = outputs(network.eval(), maps, recipe, on)
    logits, labels = found.logits[rest], data.labels[rest]
    strange = labels == left_out
    right = logits.argmax(axis=1) == closed_up(labels, left_out)
    reference, features = found.features[known], found.features[rest]
    scores = {
        "nearest": outliers.distances(features, reference, neighbors=outliers.NEIGHBORS),
        "energy": outliers.energy(logits),
        "largest probability": -temperature.probabilities(logits).max(axis=1),
    }
    return {
        "class": data.classes[left_out],
        "accuracy_of_others": round(float(right[~strange].mean()), 4),
        **{name: round(float(roc_auc_score(strange, one)), 4) for name, one in scores.items()},
    }


def closed_up(labels: NDArray[np.int64], left_out: int) -> NDArray[np.int64]:
    """Return class numbers as a network has them that does not know one class."""
    return labels - (labels > left_out)


def measure(folder: Path, threads: int | str) -> dict[str, Any]:
    """Return all of the result, with a line printed of each class."""
    recipe = experiment(threads)
    on, data = machine(recipe), read(folder, recipe)
    rows: list[dict[str, Any]] = []
    maps = None
    for left_out in tqdm(range(len(data.classes)), "classes", disable=None):
        network = trained(recipe, data, left_out, on)
        if maps is None:
            maps = frozen(network.eval(), data, recipe, on)
        rows.append(areas(network, maps, data, left_out, recipe, on))
        tqdm.write(json.dumps(rows[-1]), file=sys.stderr)
    names = [name for name in rows[0] if name != "class"]
    return {
        "device": on.device.type,
        "trained_on": int(data.train.sum() * (1 - 1 / len(data.classes))),
        "scored": int((~data.train).sum()),
        "classes": rows,
        "mean": {name: round(float(np.mean([one[name] for one in rows])), 4) for name in names},
        "sd": {name: round(float(np.std([one[name] for one in rows], ddof=1)), 4) for name in names},
    }


def main() -> None:
    """Measure and print; with --out, write a file too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a folder for the result")
    parser.add_argument("--threads", type=int, default="auto", help="CPU threads (all cores)")
    given = parser.parse_args()
    if not (real := os.environ.get("REAL_DATA")):
        parser.error("REAL_DATA: not set; the folder that holds clothing10")
    result = {"versions": provenance.versions(), **measure(Path(real) / "clothing10", given.threads)}
    text = json.dumps(result, indent=2) + "\n"
    print(text)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "unknown_classes.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
