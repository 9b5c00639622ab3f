"""Predicted and actual seconds of a repeat's training, by recipe and image size.

On a quiet machine; each training is as long as about `--seconds` on drawn spiders, with random values for pre-trained
ones, which take the same time:

    python benchmarks/estimate.py --seconds 20
"""

import argparse
import contextlib
import io
import math
import os
import sys
import tempfile
from pathlib import Path

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from pipeline.assembly import duration, networks, training
from pipeline.assembly.duration import PartSizes
from pipeline.assembly.machine import Machine, machine
from pipeline.assembly.run_record import run_record
from pipeline.core import paths
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks.network import Network
from pipeline.preview.overriding import read
from pipeline.stages import collect, copies, preprocess, source, split, train, validate

ROOT = Path(__file__).resolve().parents[1]
# Of each kind of spider, of which there are nine; seven in ten are trained on.
IMAGES = 24
# By how many images of noise the statistics of batch norms are set.
NORMED = 8
RECIPES = ("quick", "ecsm", "csca", "spa_gca", "hierarchical", "animals")


def main() -> None:
    """Print a row a training, then the ratios' range."""
    args = arguments()
    print(
        "| recipe | image size | budget | predicted (s) | actual (s) | ratio |\n| --- | --- | --- | --- | --- | --- |"
    )
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for file in (paths.PARAMS.name, "dvc.yaml", "pipeline"):
            (Path(folder) / file).symlink_to(ROOT / file)
        os.chdir(folder)
        for name in args.recipes:
            for size in args.sizes:
                budget, predicted, actual = measure(name, size, args.seconds)
                ratios.append(predicted / actual)
                row = f"| {name} | {size} | {budget} | {predicted:.1f} | {actual:.1f} | {ratios[-1]:.2f} |"
                print(row, flush=True)
        os.chdir(ROOT)
    print(f"ratios {min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)}")


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Predicted and actual seconds of a training.")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 160])
    parser.add_argument("--seconds", type=float, default=20.0, help="of a training, about")
    return parser.parse_args()


def measure(name: str, size: int, seconds: float) -> tuple[str, float, float]:
    """Return the budget of a training of about these seconds, the seconds predicted for it, and those it took."""
    recipe = resolved(name, size, None)
    prepare(recipe)
    budget = math.ceil(recipe.train.budget.amount * seconds / predict(recipe))
    recipe = resolved(name, size, max(len(recipe.train.phases), budget))
    return f"{recipe.train.budget.amount:,} {recipe.train.budget.unit}", predict(recipe), trained(recipe)


def resolved(name: str, size: int, budget: int | None) -> Recipe:
    """Return a recipe of params.yaml on few drawn spiders, with this side of what the network sees."""
    words = [f"recipe={name}", "data=synthetic", f"options.data.synthetic.images_per_class={IMAGES}", "weights=none"]
    side = f"recipes.{name}.data.input_size={size}" if name == "hierarchical" else f"image_size={size}"
    # A rate at which random values do not run off.
    return read([*words, side, "lr=1.0e-6", "repeats=[1]", *([f"budget={budget}"] if budget else [])]).recipe


def prepare(recipe: Recipe) -> None:
    """Have the project's images as the recipe takes them."""
    with contextlib.redirect_stdout(io.StringIO()):
        paths.RECIPE.parent.mkdir(exist_ok=True)
        validate.write(recipe)
        if not paths.COLLECTED.exists():
            collect.main()
            copies.main()
        split.main(["--repeat", "1"])
        preprocess.main()
        source.main()


def network_of(recipe: Recipe, data: Packed, on: Machine) -> Network:
    """Return the network with random values, and statistics of batch norms with which its maps are finite."""
    network = networks.initial(recipe, classes=len(data.classes), repeat=1).to(on.device)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    side = recipe.data.input_size
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(NORMED, 3, side, side, device=on.device))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    return network


def predict(recipe: Recipe) -> float:
    """Return the seconds that the training of the project's repeat is said to take."""
    on, data = machine(recipe), Packed.open(paths.PACKED)
    parts = train.read_parts(data, repeat=1)
    sizes = PartSizes(len(parts["train"]), len(parts["val"]))
    network = network_of(recipe, data, on)
    return duration.seconds_a_repeat(recipe, network, sizes, classes=len(data.classes), on=on)


def trained(recipe: Recipe) -> float:
    """Train the project's repeat, and return the seconds of the loop, as the page has them."""
    on, data = machine(recipe), Packed.open(paths.PACKED)
    parts, network = train.read_parts(data, repeat=1), network_of(recipe, data, on)
    record = run_record(recipe, data, parts, network, on=on, repeat=1)
    with contextlib.redirect_stdout(io.StringIO()):
        return training.run(recipe, network, data, parts, record, on=on, on_epoch=lambda _: None).seconds


if __name__ == "__main__":
    main()
