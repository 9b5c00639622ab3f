"""What a step of each regularizer costs beside a step of `l2`, and what weighing DELTA's channels costs an image.

    python benchmarks/regularizers.py --out benchmarks/results

The methods take turns, several rounds, in each the second of two epochs is timed; a method's ratio is that of its
seconds and l2's in the same round, and the figure is the median with the range. Images vary (a random crop), so nothing
of the source is kept. The network is the recipe `spa_gca`'s with random values, everything training.
"""

import argparse
import json
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F

from pipeline import config
from pipeline.assembly import loss_terms, networks, training_plan
from pipeline.assembly.transforms import train_transform
from pipeline.core import paths, provenance, seeding
from pipeline.core.loop_settings import loop_settings
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
    """Time every method that was asked for, print a table, and write it with device and versions."""
    wanted = arguments()
    device = torch.device(seeding.choose_device(wanted.device))
    threads = seeding.make_exact(threads="auto", device=device.type)
    rounds = [
        {method: seconds_a_step(method, wanted, device) for method in wanted.methods} for _ in range(wanted.rounds)
    ]
    rows = [row(method, rounds) for method in wanted.methods]
    for told in rows:
        print(", ".join(f"{name} {value}" for name, value in told.items()))
    weighing = seconds_an_image(wanted, device)
    print(f"channel weights of DELTA: {weighing:.3g} s an image")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.processor()
    machine = {"device": name, "threads": threads, "versions": provenance.versions()}
    settings = {key: value for key, value in vars(wanted).items() if key != "out"}
    result = {"machine": machine, "settings": settings, "rows": rows, "delta_seconds_an_image": round(weighing, 4)}
    wanted.out.mkdir(parents=True, exist_ok=True)
    file = wanted.out / f"regularizers-{device.type}.json"
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


def arguments() -> argparse.Namespace:
    """What to measure; the defaults are those that a GPU is measured with."""
    single = [name for name, row in METHODS.items() if row.module]
    parser = argparse.ArgumentParser(description="Seconds a step of each regularizer beside l2's.")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="timed steps a round, after as many that are not")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--methods", nargs="+", choices=single, default=[m for m in single if m != "l2_fe"])
    parser.add_argument("--weighed", type=int, default=8, help="images on which DELTA's channels are weighed")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def experiment(method: str, wanted: argparse.Namespace) -> Recipe:
    """Return the recipe `spa_gca` with this method, on as many images as one epoch of timed steps takes."""
    values = config.read(Path(__file__).resolve().parents[1] / paths.PARAMS)
    axes = {"recipe": "spa_gca", "regularizer": method, "backbone": wanted.backbone, "batch_size": wanted.batch}
    recipe = values["recipes"]["spa_gca"]
    recipe["data"] |= {"image_size": wanted.size + 32, "crop_size": wanted.size}
    # So small a rate that random values stay finite under any strength.
    recipe["train"] |= {"precision": wanted.precision, "lr": 1e-9, "budget": {"unit": "epochs", "amount": 2}}
    return config.resolve(config.check(values | axes)).recipe


def seconds_a_step(method: str, wanted: argparse.Namespace, device: torch.device) -> float:
    """The mean over an epoch of timed steps, behind an epoch of the same length that is not counted."""
    recipe = experiment(method, wanted)
    network = build(networks.plan(recipe, classes=CLASSES), pretrained=None).to(device)
    count, side = wanted.steps * wanted.batch, recipe.data.image_size
    array = np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    rows = torch.arange(count)
    images = Images(array, rows, mean=MEAN, std=STD, device=device, transform=train_transform(recipe))
    examples = contract.Examples(images, rows % CLASSES, rows, rows[:0])
    reference = loss_terms.reference_network(recipe, network, classes=CLASSES)
    makers = loss_terms.LossTerms(recipe, network, reference=reference, repeat=0).makers()
    plan = training_plan.training_plan(recipe, network, makers)
    outcome = loop.fit(network, examples, loop_settings(recipe), seed=0, plan=plan)
    return outcome.epoch_seconds[-1] / int(wanted.steps)


def row(method: str, rounds: list[dict[str, float]]) -> dict[str, Any]:
    """A method's seconds and its ratio to l2 over the rounds."""
    ratios = [found[method] / found["l2"] for found in rounds] if "l2" in rounds[0] else []
    told: dict[str, Any] = {
        "method": method,
        "seconds_a_step": round(statistics.median(found[method] for found in rounds), 4),
        "n": len(rounds),
    }
    if ratios:
        told |= {
            "ratio_to_l2": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        }
    return told


def seconds_an_image(wanted: argparse.Namespace, device: torch.device) -> float:
    """How long leaving out every filter of the four taps takes for one image; a first image is not counted."""
    network = build(networks.plan(experiment("delta", wanted), classes=CLASSES), pretrained=None).to(device)
    hooked_layers = [f"model.{layer}" for layer in backbone(wanted.backbone).hooked_layers]
    batch = torch.zeros(wanted.weighed, 3, wanted.size, wanted.size, device=device)
    labels = torch.zeros(wanted.weighed, dtype=torch.long, device=device)
    seconds = []
    for images in (1, int(wanted.weighed)):
        started = time.perf_counter()
        found = filter_importance(
            network, hooked_layers, [(batch[:images], labels[:images])], partial(F.cross_entropy, reduction="none")
        )
        # Reading a value waits for the device.
        found[hooked_layers[-1]].sum().item()
        seconds.append(time.perf_counter() - started)
    return seconds[-1] / int(wanted.weighed)


if __name__ == "__main__":
    main()
