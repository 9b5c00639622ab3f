"""Images per second of each fine-tuning strategy, compared with a plain torchvision loop in the same run.

Needs torch, torchvision, numpy and tqdm alone, so it also runs on a GPU machine without the rest:

    python benchmarks/throughput.py --out benchmarks/results

Every result is the median of timed epochs after a first one that is not counted, with their range. The plain loop is a
hand-written one: a DataLoader over decoded uint8 images in memory, normalized on the device, `requires_grad = False`
for frozen layers, without cached features, and not deterministic. Both compute in the same precision, `tf32` as `fp32`
where the device has no TF32.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from pipeline.core import provenance, seeding
from pipeline.core.precision import Precision, autocast, in_force, set_float32
from pipeline.networks.build import Plan, build
from pipeline.networks.freezing import freeze
from pipeline.networks.strategies import STRATEGIES
from pipeline.training import contract, loop
from pipeline.training.images import Images

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 9


def main() -> None:
    """Time the combinations of the command line, print a table, and write it with device and versions."""
    args = arguments()
    device = torch.device(seeding.choose_device(args.device))
    array = np.random.default_rng(0).integers(0, 256, (args.images, 3, args.size, args.size), dtype=np.uint8)
    labels = torch.arange(args.images) % CLASSES
    rows = [
        measure(loop, array, labels, strategy=strategy, batch=batch, precision=precision, args=args)
        for precision in args.precisions
        for batch in args.batches
        for strategy in args.strategies
        for loop in LOOPS
    ]
    result = {"machine": machine(device), "settings": settings_of(args), "rows": rows}
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / f"throughput-{device.type}.json"
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


def arguments() -> argparse.Namespace:
    """Return the command line's arguments; the defaults are for a GPU."""
    parser = argparse.ArgumentParser(description="Images per second of each strategy, compared with a plain loop.")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=4, help="timed epochs after one that is not counted")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--precisions", nargs="+", choices=get_args(Precision), default=["tf32", "bf16"])
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES), default=["1", "2", "3a", "3b", "3c"])
    parser.add_argument("--cache-mb", type=int, default=16384, help="size of the feature cache")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def measure(
    loop: str,
    array: "np.ndarray[Any, np.dtype[np.uint8]]",
    labels: Tensor,
    *,
    strategy: str,
    batch: int,
    precision: Precision,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Return one row of the result: images per second over the timed epochs."""
    device = torch.device(seeding.choose_device(args.device))
    torch.manual_seed(0)
    plan = Plan(args.backbone, "linear", classes=CLASSES, image_size=args.size, head_options={"dropout": 0.0})
    network = build(plan, pretrained=None).to(device)
    freeze(network, strategy)
    recipe = settings(batch, in_force(precision, device), args.epochs + 1, args.cache_mb)
    seconds, cache = LOOPS[loop](network, array, labels, recipe, device)
    rates = [len(array) / value for value in seconds[1:]]
    row = {
        "loop": loop,
        "strategy": strategy,
        "batch": batch,
        "precision": recipe.precision,
        "images_per_second": round(statistics.median(rates), 1),
        "slowest": round(min(rates), 1),
        "fastest": round(max(rates), 1),
        "n": len(rates),
        "cache_seconds": round(cache, 2),
    }
    print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    return row


def ours(
    network: Any,
    array: "np.ndarray[Any, np.dtype[np.uint8]]",
    labels: Tensor,
    recipe: SimpleNamespace,
    device: torch.device,
) -> tuple[list[float], float]:
    """Run the pipeline's loop as the stages do; return the seconds of each epoch and of filling the cache."""
    seeding.make_exact(threads="auto", device=device.type, precision=recipe.precision)
    rows = torch.arange(len(array))
    images = Images(array, rows, mean=MEAN, std=STD, device=device)
    result = loop.fit(network, contract.Examples(images, labels, rows, rows[:0]), recipe, seed=0)
    return result.epoch_seconds, result.cache_seconds


def plain(
    network: nn.Module,
    array: "np.ndarray[Any, np.dtype[np.uint8]]",
    labels: Tensor,
    recipe: SimpleNamespace,
    device: torch.device,
) -> tuple[list[float], float]:
    """Run the hand-written loop; return the seconds of each epoch, and 0 as it has no cache."""
    # The pipeline's loop, timed before, turns them on.
    torch.use_deterministic_algorithms(False)
    set_float32(recipe.precision)
    loader = DataLoader(TensorDataset(torch.from_numpy(array), labels), recipe.batch_size, shuffle=True)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=recipe.lr)
    return list(_plain_epochs(network, loader, optimizer, recipe, device)), 0.0


def _plain_epochs(
    network: nn.Module,
    loader: "DataLoader[tuple[Tensor, ...]]",
    optimizer: torch.optim.Optimizer,
    recipe: SimpleNamespace,
    device: torch.device,
) -> Iterator[float]:
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))
    for _ in range(recipe.budget.amount):
        started = time.perf_counter()
        network.train()
        total = torch.zeros((), device=device)
        for pixels, answers in loader:
            images = (pixels.to(device).float() / 255 - mean) / std
            with autocast(recipe.precision, device.type):
                loss = F.cross_entropy(network(images).float(), answers.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        # Reading a value waits for the device.
        total.item()
        yield time.perf_counter() - started


def settings(batch: int, precision: Precision, epochs: int, cache_mb: int) -> SimpleNamespace:
    """Return settings of the loop: Adam at a constant rate."""
    return SimpleNamespace(
        budget=SimpleNamespace(unit="epochs", amount=epochs),
        batch_size=batch,
        optimizer="adam",
        optimizer_options={"beta1": 0.9, "beta2": 0.999},
        lr=2e-4,
        weight_decay=0.0,
        schedule="constant",
        schedule_options={},
        precision=precision,
        feature_cache_mb=cache_mb,
    )


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments but the output folder as plain data."""
    return {name: value for name, value in vars(args).items() if name != "out"}


def machine(device: torch.device) -> dict[str, Any]:
    """Return device, threads, system and versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "cuda": torch.version.cuda or "",
        "versions": provenance.versions(),
    }


LOOPS: dict[str, Callable[..., tuple[list[float], float]]] = {"ours": ours, "plain": plain}


if __name__ == "__main__":
    main()
