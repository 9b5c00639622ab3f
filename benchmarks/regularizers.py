"""Seconds per step of each regularizer, relative to `l2`, and seconds per image of DELTA's channel weights.

    python benchmarks/regularizers.py --out benchmarks/results

The methods take turns for several rounds, in each of which the second of two epochs is timed; a method's ratio is that
of its seconds and l2's in the same round, and the result is the median with the range. Images are augmented (a random
crop), so the reference's maps are not cached. The network is that of the recipe `spa_gca` with random values, and all
of it trains.
"""

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, get_args

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
import torch
import torch.nn.functional as F

from pipeline import config
from pipeline.assembly import loss_terms, networks, training_plan
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.transforms import train_transform
from pipeline.core import paths, provenance, seeding
from pipeline.core.precision import Precision, in_force
from pipeline.core.recipe import Recipe
from pipeline.networks.backbones.table import backbone
from pipeline.networks.build import build
from pipeline.regularizers.filter_importance import filter_importance
from pipeline.regularizers.table import METHODS
from pipeline.training import contract, loop
from pipeline.training.images import Images

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 9


def main() -> None:
    """Time the methods of the command line, print a table, and write it with device and versions."""
    args = arguments()
    device = torch.device(seeding.choose_device(args.device))
    precision = in_force(args.precision, device)
    threads = seeding.make_exact(threads="auto", device=device.type, precision=precision)
    rounds = [{method: seconds_per_step(method, args, device) for method in args.methods} for _ in range(args.rounds)]
    rows = [row(method, rounds) for method in args.methods]
    for one in rows:
        print(", ".join(f"{name} {value}" for name, value in one.items()))
    weighing = seconds_per_image(args, device)
    print(f"channel weights of DELTA: {weighing:.3g} s per image")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.processor()
    machine = {"device": name, "threads": threads, "precision": precision, "versions": provenance.versions()}
    settings = {key: value for key, value in vars(args).items() if key != "out"}
    results = {"rows": rows, "delta_seconds_an_image": round(weighing, 4)}
    report.write(args.out / f"regularizers-{device.type}.json", machine=machine, settings=settings, results=results)


def arguments() -> argparse.Namespace:
    """Return the command line's arguments; the defaults are for a GPU."""
    single = [name for name, row in METHODS.items() if row.module]
    parser = argparse.ArgumentParser(description="Seconds per step of each regularizer, relative to l2.")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="timed steps per round, after as many without timing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=get_args(Precision), default="tf32")
    parser.add_argument("--methods", nargs="+", choices=single, default=[m for m in single if m != "l2_fe"])
    parser.add_argument("--weighed", type=int, default=8, help="images for DELTA's channel weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def experiment(method: str, args: argparse.Namespace) -> Recipe:
    """Return the recipe `spa_gca` with this method, for two epochs."""
    values = config.read(Path(__file__).resolve().parents[1] / paths.PARAMS)
    axes = {"recipe": "spa_gca", "regularizer": method, "backbone": args.backbone, "batch_size": args.batch}
    recipe = values["recipes"]["spa_gca"]
    recipe["data"] |= {"image_size": args.size + 32, "crop_size": args.size}
    # With so small a rate random values stay finite under any strength.
    recipe["train"] |= {"precision": args.precision, "lr": 1e-9, "budget": {"unit": "epochs", "amount": 2}}
    return config.resolve(config.check(values | axes)).recipe


def seconds_per_step(method: str, args: argparse.Namespace, device: torch.device) -> float:
    """Return the mean over an epoch of timed steps, after an epoch of the same length that is not counted."""
    recipe = experiment(method, args)
    network = build(networks.plan(recipe, classes=CLASSES), pretrained=None).to(device)
    count, side = args.steps * args.batch, recipe.data.image_size
    array = np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    rows = torch.arange(count)
    images = Images(array, rows, mean=MEAN, std=STD, device=device, transform=train_transform(recipe))
    examples = contract.Examples(images, rows % CLASSES, rows, rows[:0])
    reference = loss_terms.reference_network(recipe, network, classes=CLASSES)
    makers = loss_terms.LossTerms(recipe, network, reference=reference, repeat=0).makers()
    plan = training_plan.training_plan(recipe, network, makers)
    result = loop.fit(network, examples, loop_settings(recipe), seed=0, plan=plan)
    return result.epoch_seconds[-1] / int(args.steps)


def row(method: str, rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return a method's median seconds per step over the rounds, and its ratio to l2 with the range."""
    ratios = [seconds[method] / seconds["l2"] for seconds in rounds] if "l2" in rounds[0] else []
    result: dict[str, Any] = {
        "method": method,
        "seconds_a_step": round(statistics.median(seconds[method] for seconds in rounds), 4),
        "n": len(rounds),
    }
    if ratios:
        result |= {
            "ratio_to_l2": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        }
    return result


def seconds_per_image(args: argparse.Namespace, device: torch.device) -> float:
    """Time the channel weights of the four hooked layers per image, after a first image that is not counted."""
    network = build(networks.plan(experiment("delta", args), classes=CLASSES), pretrained=None).to(device)
    hooked_layers = [f"model.{layer}" for layer in backbone(args.backbone).hooked_layers]
    batch = torch.zeros(args.weighed, 3, args.size, args.size, device=device)
    labels = torch.zeros(args.weighed, dtype=torch.long, device=device)
    seconds = []
    for images in (1, int(args.weighed)):
        started = time.perf_counter()
        importance = filter_importance(
            network, hooked_layers, [(batch[:images], labels[:images])], partial(F.cross_entropy, reduction="none")
        )
        # Reading a value waits for the device.
        importance[hooked_layers[-1]].sum().item()
        seconds.append(time.perf_counter() - started)
    return seconds[-1] / int(args.weighed)


if __name__ == "__main__":
    main()
