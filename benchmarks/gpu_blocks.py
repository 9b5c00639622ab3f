"""The blocks of `gpu.py`: what each runs, and the rows that it gives.

Needs torch, torchvision, numpy and tqdm alone.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from loop_cells import Cell, Size
from loops import LOOPS, digest, no_waiting, ours
from torchvision.ops import StochasticDepth

from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.network import Network
from pipeline.regularizers.table import METHODS
from pipeline.training.contract import TrainResult

Row = dict[str, Any]
# Rows are given in lists: those that are of use only together are in one.
Rows = Iterator[list[Row]]
CPU = torch.device("cpu")
# The regularizers of the paper that trains the deeper network, and none.
DEEPER = ("", "spa", "gca")
# How far the first step's losses may be from the CPU's, by precision: relative, or of a term near 0 absolute.
NEAR = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 5e-2}
# The option of this program by which a second process trains cells and prints their digests.
CELLS = "--cells"
PROGRAM = Path(__file__).with_name("gpu.py")
# Seconds after which a second process is given up.
PATIENCE = 120


def runs(size: Size, device: torch.device, _until: float) -> Rows:
    """Take three steps of every choice; the losses of the first are to be the CPU's."""
    terms = [name for name, row in METHODS.items() if row.needs and row.module]
    # An epoch is one step, so that the history's first row is of untrained values.
    small: dict[str, Any] = {"images": 4, "epochs": 3, "side": size.side}
    cells = [Cell(name, "3b", 4, "fp32", **small) for name in [*BACKBONES][: size.every]]
    cells += [Cell("resnet18", "2", 4, "fp32", attention=name, **small) for name in [*ATTENTIONS][: size.every]]
    cells += [Cell("resnet18", "3b", 4, "fp32", regularizer=name, **small) for name in terms[: size.every]]
    for cell in cells:
        with failures_noted(cell) as row:
            expected = losses(*ours(cell, CPU))
        if "error" in row:
            yield [row]
            continue
        for precision in size.precisions:
            one = replace(cell, precision=precision)
            with failures_noted(one) as row, no_waiting(device):
                own = losses(*ours(one, device))
                off = {name: abs(own[name] - value) / max(abs(value), 1.0) for name, value in expected.items()}
                row |= {**own, "off": max(off.values(), default=0.0)}
                if not row["off"] <= NEAR[precision]:
                    row["error"] = f"not the CPU's losses, {expected}"
            yield [row]


def losses(result: TrainResult, network: Network) -> dict[str, float]:
    """Return the losses of the first step; none of a network that draws on its device, as no other draws the same."""
    if any(isinstance(module, StochasticDepth) for module in network.modules()):
        return {}
    # The accuracy of four images says nothing.
    return {name: value for name, value in result.history[0].items() if name.startswith("train_") and "acc" not in name}


def twice(size: Size, device: torch.device, _until: float) -> Rows:
    """Train the same twice, and in a second process."""
    cells = [
        Cell("resnet18", strategy, 8, precision, regularizer=regularizer, images=24, side=size.side)
        for strategy in size.strategies
        for precision in size.precisions
        for regularizer in ("", "gca")
        # With the head alone no map can differ.
        if not (regularizer and strategy == "1")
    ]
    first, second = digests(cells, device), digests(cells, device)
    yield [one | {"equal": one == again} for one, again in zip(first, second, strict=True)]
    command = [
        sys.executable,
        str(PROGRAM),
        "--device",
        str(device),
        CELLS,
        json.dumps([asdict(cell) for cell in cells]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(f"the second process: {(done.stderr.splitlines() or ['no word'])[-1]}")
    third = json.loads(done.stdout.splitlines()[-1])
    yield [one | {"equal_elsewhere": one == other} for one, other in zip(first, third, strict=True)]


def digests(cells: list[Cell], device: torch.device) -> list[Row]:
    """Return a row with the digest of each cell's network; of one that fails, with the error."""
    made = []
    for cell in cells:
        with failures_noted(cell) as row:
            row["digest"] = digest(ours(cell, device)[1])[:16]
        made.append(row)
    return made


def speed(size: Size, device: torch.device, until: float) -> Rows:
    """Time both loops in turns, and the memory that each takes."""
    for strategy in size.strategies:
        for batch in size.batches:
            for precision in size.precisions:
                cells = {name: size.cell(strategy, batch, precision) for name in LOOPS}
                yield timed(size, cells, device, LOOPS, until=until)


def stalls(size: Size, device: torch.device, until: float) -> Rows:
    """Time images from the device, from the file, and none; nothing is cached, which no file would be read for."""
    for strategy in size.strategies[:2]:
        for batch in size.batches:
            sources = ("fixed", "resident", "file")
            cells = {one: size.cell(strategy, batch, "bf16", source=one, cache_mb=0) for one in sources}
            yield timed(size, cells, device, dict.fromkeys(cells, LOOPS["ours"]), until=until)


def regularizers(size: Size, device: torch.device, until: float) -> Rows:
    """Time regularizers over none, which takes as long as L2; on the deeper network those of `spa_gca` alone."""
    names = ["", *[name for name, row in METHODS.items() if row.needs and row.module][: size.every]]
    for backbone, some in ((size.large[0], names), (size.deeper, [name for name in names if name in DEEPER])):
        cells = {
            name or "none": replace(
                size.cell(size.strategies[0], size.batches[0], size.precisions[0], regularizer=name), backbone=backbone
            )
            for name in some
        }
        yield timed(size, cells, device, dict.fromkeys(cells, LOOPS["ours"]), until=until)


def table5(size: Size, device: torch.device, _until: float) -> Rows:
    """Train and test Table 5's networks one after the other, repeat by repeat, and add up the seconds."""
    repeats, epochs, images, held_out = size.table
    backbone, side, _ = size.large
    sizes: dict[str, Any] = {"images": images, "held_out": held_out, "epochs": epochs, "side": side}
    total = 0.0
    for repeat in range(1, repeats + 1):
        for strategy in size.strategies:
            cell = Cell(backbone, strategy, size.batches[0], size.precisions[0], head="mlp1024", seed=repeat, **sizes)
            started = time.perf_counter()
            result = ours(cell, device)[0]
            seconds = time.perf_counter() - started
            total += seconds
            yield [{"cell": cell.label(), "repeat": repeat, "seconds": seconds, "training_seconds": result.seconds}]
    yield [{"cell": f"all {repeats * len(size.strategies)}", "seconds": total}]


def timed(
    size: Size,
    cells: dict[str, Cell],
    device: torch.device,
    loops: dict[str, Callable[..., list[float]]],
    *,
    until: float,
) -> list[Row]:
    """Return images per second of each cell, their rounds in turns, with the ratio to the first.

    After the time `until`, no further round begins; each cell has as many, one at least.
    """
    rates: dict[str, list[float]] = {name: [] for name in cells}
    memory: dict[str, int] = {}
    for number in range(size.rounds):
        if number and time.monotonic() > until:
            break
        for name, cell in cells.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            rates[name].append(cell.images / loops[name](cell, device)[-1])
            memory[name] = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    first = next(iter(cells))
    rows = []
    for name, cell in cells.items():
        ratios = [own / other for own, other in zip(rates[name], rates[first], strict=True)]
        row = {
            "cell": cell.label(),
            "loop": name,
            "images_per_second": statistics.median(rates[name]),
            "slowest": min(rates[name]),
            "fastest": max(rates[name]),
            "n": len(rates[name]),
            f"ratio_to_{first}": statistics.median(ratios),
            "memory_mib": memory[name] / 2**20,
        }
        rows.append(row)
    return rows


@contextmanager
def failures_noted(cell: Cell) -> Iterator[dict[str, Any]]:
    """Yield a row, which gets the error that ends the block."""
    row: dict[str, Any] = {"cell": cell.label()}
    try:
        yield row
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
