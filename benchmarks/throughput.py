"""Seconds of an epoch of each fine-tuning strategy, compared with a tuned plain torchvision loop in the same run.

Needs torch, torchvision, numpy and tqdm alone:

    python benchmarks/throughput.py --out benchmarks/results

The loops take turns, each round an epoch that is not counted and one that is: this project's as it trains, which caches
the features of frozen layers; the same without that cache; and the plain one, see `loops.tuned`, with the same order
of images. A ratio is that of the same round, and every figure is a median with its range.
"""

import argparse
import itertools
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report
import torch
from loop_cells import Cell
from loops import machine, ours, tuned

from pipeline.core import seeding
from pipeline.core.precision import Precision, in_force
from pipeline.networks.strategies import STRATEGIES


def main() -> None:
    """Time the combinations of the command line, print a table, and write it with device and versions."""
    args = arguments()
    device = torch.device(seeding.choose_device(args.device))
    seeding.make_exact(threads="auto", device=device.type, precision=in_force(args.precision, device))
    settings = {name: value for name, value in vars(args).items() if name != "out"}
    about, rows = machine(device) | {"load": os.getloadavg()[1]}, []
    for side, batch, strategy in itertools.product(args.sides, args.batches, args.strategies):
        cell = Cell(args.backbone, strategy, batch, args.precision, images=args.images, side=side)
        rows += timed(cell, device, args.rounds)
    report.write(args.out / f"throughput-{device.type}.json", machine=about, settings=settings, results={"rows": rows})


def arguments() -> argparse.Namespace:
    """Return the command line's arguments; the defaults are for two cores and some minutes."""
    parser = argparse.ArgumentParser(description="Seconds of an epoch of each strategy, compared with a plain loop.")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128], help="of the images, in pixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[32])
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES), default=["2", "3b", "1"])
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def timed(cell: Cell, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Return a row of each loop: its seconds, and how many times the plain one's of the same round these are."""
    loops: dict[str, Callable[[], list[float]]] = {
        "ours": lambda: ours(cell, device)[0].epoch_seconds,
        "ours, nothing cached": lambda: ours(replace(cell, cache_mb=0), device)[0].epoch_seconds,
        "plain": lambda: tuned(cell, device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, run in loops.items():
            seconds[name].append(run()[-1])
    rows = []
    for name, own in seconds.items():
        ratios = [one / other for one, other in zip(own, seconds["plain"], strict=True)]
        row = {"strategy": cell.strategy, "side": cell.side, "batch": cell.batch, "loop": name, "n": rounds}
        row |= {"seconds": spread(own), "to_plain": spread(ratios)}
        rows.append(row)
        print(row, flush=True)
    return rows


def spread(values: list[float]) -> dict[str, float]:
    """Return the median and the range."""
    return {
        "median": round(statistics.median(values), 4),
        "lowest": round(min(values), 4),
        "highest": round(max(values), 4),
    }


if __name__ == "__main__":
    main()
