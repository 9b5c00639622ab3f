"""Seconds of an epoch and bits of the trained network, with the CPU's own instructions and with portable ones.

    python benchmarks/cpu_instructions.py

Each training runs in a process of its own, since a process chooses once; the two take turns. A ratio is that of the same
round. This machine's row is put into the file of results, beside those of others: digests of `portable` should be equal
in all. `--quick` has small images, for a CPU that QEMU emulates:

    qemu-x86_64 -cpu Haswell .venv/bin/python benchmarks/cpu_instructions.py --quick --child portable
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from loop_cells import Cell
from loops import digest, machine, ours

from pipeline.core import cpu_instructions
from pipeline.core.cpu_instructions import CpuInstructions

RESULTS = Path("benchmarks/results/cpu-instructions.json")
# Digits depend on their number, so it is the same on every machine.
THREADS = 2
CPU = torch.device("cpu")
CELLS = [
    Cell("resnet18", "2", 32, "fp32", images=128, side=128),
    Cell("resnet18", "3b", 32, "fp32", images=128, side=128),
    Cell("resnet50", "2", 32, "fp32", images=64, side=96),
    Cell("efficientnet_b0", "2", 32, "fp32", images=128, side=96),
]
QUICK = [
    Cell("resnet18", "2", 8, "fp32", images=16, side=32),
    Cell("efficientnet_b0", "2", 8, "fp32", images=16, side=32),
    Cell("resnet18", "2", 8, "fp32", attention="cbam", regularizer="spa", images=16, side=64),
]


def main() -> None:
    """Time all trainings, print a table, and put this machine's row into the file."""
    args = arguments()
    cells = QUICK if args.quick else CELLS
    if args.child:
        print(json.dumps(trained(cells, args.child)))
        return
    choices = get_args(CpuInstructions)
    rounds = [{asked: child(asked, quick=args.quick) for asked in choices} for _ in range(args.rounds)]
    rows = [compared(cell.label() + f", {cell.side} px", number, rounds) for number, cell in enumerate(cells)]
    about = machine(CPU) | {"threads": THREADS, "vectors": torch.backends.cpu.get_cpu_capability()}
    for row in rows:
        print(f"{row['cell']}: portable takes {row['ratio']} times as long; {row['native']}, {row['portable']}")
    write(args.out, {"machine": about, "rounds": args.rounds, "rows": rows})


def arguments() -> argparse.Namespace:
    """Return the command line's arguments; the defaults take some minutes on two cores."""
    parser = argparse.ArgumentParser(description="Time and bits of trainings with portable CPU instructions.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small images")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", choices=get_args(CpuInstructions), help="train in this process with these")
    return parser.parse_args()


def child(asked: CpuInstructions, *, quick: bool) -> dict[str, Any]:
    """Return what `trained` returns in a process of its own."""
    others = {name: value for name, value in os.environ.items() if name not in cpu_instructions.VARIABLES}
    command = [sys.executable, __file__, "--child", asked, *(["--quick"] if quick else [])]
    threads = {"OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, env=others | threads, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def trained(cells: list[Cell], asked: CpuInstructions) -> dict[str, Any]:
    """Return the instructions in force, and the seconds of the last epoch and the digest of each training."""
    in_force = cpu_instructions.choose(asked)
    results = [(result.epoch_seconds[-1], digest(network)) for result, network in (ours(cell, CPU) for cell in cells)]
    return {"in_force": in_force, "cells": results}


def compared(name: str, number: int, rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return one training's digests and the ratio of its times.

    Raises:
        ValueError: if rounds differ in their bits.
    """
    digests: dict[str, str] = {}
    for asked in get_args(CpuInstructions):
        held, several = rounds[0][asked]["in_force"], {one[asked]["cells"][number][1] for one in rounds}
        if len(several) > 1:
            raise ValueError(f"{name}: {asked}: {len(several)} results in {len(rounds)} rounds")
        digests[asked] = f"{held} {several.pop()[:16]}"
    ratios = [one["portable"]["cells"][number][0] / one["native"]["cells"][number][0] for one in rounds]
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return {"cell": name, "ratio": ratio, **digests}


def write(file: Path, row: dict[str, Any]) -> None:
    """Put the row of this machine into the file, in place of an earlier one of the same CPU and versions."""
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    rows = [one for one in rows if (one["machine"], len(one["rows"])) != (row["machine"], len(row["rows"]))]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([*rows, row], indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
