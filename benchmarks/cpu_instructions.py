"""The cost of portable CPU instructions, and a check that they give the same bits on different CPUs.

    python benchmarks/cpu_instructions.py
    python benchmarks/cpu_instructions.py --bits "AMD EPYC, AVX-512"
    qemu-x86_64 -cpu Haswell .venv/bin/python benchmarks/cpu_instructions.py --bits "Intel Haswell, emulated by QEMU"

The first one times an epoch with the CPU's own instructions and with portable ones, each training in a process of its
own, since a process chooses once; the two take turns, and a ratio is that of one round. The others train small images
with every attention, regularizer and most backbones, and put each network's digest into the file under the CPU's name.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.core import cpu_instructions
from pipeline.core.cpu_instructions import PORTABLE, CpuInstructions

# isort: split
import torch
from loop_cells import Cell
from loops import digest, machine, ours

from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.regularizers.table import METHODS

RESULTS = Path("benchmarks/results/cpu-instructions.json")
# Digits depend on their number, so it is the same on every machine.
THREADS = 2
CPU = torch.device("cpu")
TIMED = (
    Cell("resnet18", "2", 32, "fp32", images=128, side=128),
    Cell("resnet18", "3b", 32, "fp32", images=128, side=128),
    Cell("resnet50", "2", 32, "fp32", images=64, side=96),
    Cell("efficientnet_lite0", "3b", 32, "fp32", images=128, side=96),
)
# An emulated CPU would take hours for these.
TOO_LARGE = ("vgg16", "vit_b_16", "resnet101")


def main() -> None:
    """Do what the options say, print it, and put it into the file of results."""
    args = arguments()
    if args.child:
        print(json.dumps(trained(args.child)))
        return
    results = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {"times": [], "bits": {}}
    if args.bits:
        results["bits"][args.bits] = bits()
    else:
        results["times"].append(times(args.rounds))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"written to {args.out}")


def arguments() -> argparse.Namespace:
    """Return the command line's arguments; the defaults take some minutes on two cores."""
    parser = argparse.ArgumentParser(description="What portable CPU instructions cost, and whether bits are the same.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bits", metavar="CPU", help="train small images, and keep the digests under this name")
    parser.add_argument("--child", choices=get_args(CpuInstructions), help="time in this process, with these")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def times(rounds: int) -> dict[str, Any]:
    """Return this machine, and of each training how many times as long an epoch takes with portable instructions."""
    taken = [{asked: child(asked) for asked in get_args(CpuInstructions)} for _ in range(rounds)]
    rows = []
    for number, cell in enumerate(TIMED):
        ratios = [one[PORTABLE]["seconds"][number] / one["native"]["seconds"][number] for one in taken]
        row = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
        rows.append(
            {"training": f"{cell.label()}, {cell.side} px"} | {name: round(one, 2) for name, one in row.items()}
        )
        print(rows[-1])
    about = machine(CPU) | {"threads": THREADS, "native": taken[0]["native"]["in_force"]}
    return {"machine": about, "rounds": rounds, "rows": rows}


def child(asked: CpuInstructions) -> dict[str, Any]:
    """Return what `trained` returns in a process of its own."""
    others = {name: value for name, value in os.environ.items() if name not in cpu_instructions.VARIABLES}
    command = [sys.executable, __file__, "--child", asked]
    threads = {"OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, env=others | threads, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def trained(asked: CpuInstructions) -> dict[str, Any]:
    """Return the instructions in force, and the seconds of the last epoch of each training."""
    in_force = cpu_instructions.choose(asked)
    return {"in_force": in_force, "seconds": [ours(cell, CPU)[0].epoch_seconds[-1] for cell in TIMED]}


def bits() -> dict[str, str]:
    """Return the first digits of each small network's digest."""
    cpu_instructions.choose(PORTABLE)
    torch.set_num_threads(THREADS)
    result = {}
    for cell in small():
        result[cell.label()] = digest(ours(cell, CPU)[1])[:16]
        print(cell.label(), result[cell.label()], flush=True)
    return result


def small() -> Iterator[Cell]:
    """Yield a training with each attention, each regularizer with a term of its own, and most backbones."""
    plain: dict[str, Any] = {"images": 8, "side": 64}
    for attention in ATTENTIONS:
        yield Cell("resnet18", "2", 4, "fp32", attention, **plain)
    for name, row in METHODS.items():
        if row.module:
            yield Cell("resnet18", "2", 4, "fp32", regularizer=name, **plain)
    for name in BACKBONES:
        if name not in TOO_LARGE:
            yield Cell(name, "3b", 4, "fp32", **plain)


if __name__ == "__main__":
    main()
