"""Questions that only a GPU can answer, in nine minutes: what runs, what is exact, how fast, what stalls, memory.

Needs torch, torchvision, numpy and tqdm alone, so that it runs on a GPU machine without the rest:

    python benchmarks/gpu.py --out benchmarks/results

Blocks, each with a deadline: (a) every backbone, attention and regularizer takes steps, none of which waits for the
device, with the CPU's losses; (b) a training ends with the same bits twice, and in a second process; (c) images per
second, in rounds that alternate with a tuned plain loop's; (d) the same with images that are not read anew, and with
images from the file; (e) regularizers over none; (f) ECSM's Table 5, five strategies times five repeats, in this
process; (g) memory. `--tiny` runs all of them on a CPU within a minute, to see that this program works.

Nine minutes may end (f) before its last training. To see it whole, give it a deadline of its own:

    python benchmarks/gpu.py --blocks "f table 5" --deadline 570 --out OTHER_FOLDER
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from loop_cells import TINY, Cell, Size
from loops import LOOPS, digest, machine, no_waiting, ours

from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.regularizers.table import METHODS

Rows = Iterator[dict[str, Any]]
CPU = torch.device("cpu")
# The regularizers of the paper that trains the deeper network, and none.
DEEPER = ("", "spa", "gca")
# The option by which a second process trains cells and prints their digests.
CELLS = "--cells"


def runs(size: Size, device: torch.device) -> Rows:
    """Take steps of every choice; the loss is to be the CPU's."""
    terms = [name for name, row in METHODS.items() if row.needs and row.module]
    small: dict[str, Any] = {"images": 8, "side": size.side}
    cells = [Cell(name, "3b", 4, "fp32", **small) for name in [*BACKBONES][: size.every]]
    cells += [Cell("resnet18", "2", 4, "fp32", attention=name, **small) for name in [*ATTENTIONS][: size.every]]
    cells += [Cell("resnet18", "3b", 4, "fp32", regularizer=name, **small) for name in terms[: size.every]]
    for cell in cells:
        expected = ours(cell, CPU)[0].history[0]["train_loss"]
        for precision in size.precisions:
            one = replace(cell, precision=precision)
            with failures_noted(one) as row, no_waiting(device):
                loss = ours(one, device)[0].history[0]["train_loss"]
                row |= {"loss": loss, "cpu_loss": expected, "relative": abs(loss / expected - 1)}
            yield row


def twice(size: Size, device: torch.device) -> Rows:
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
    command = [sys.executable, __file__, "--device", str(device), CELLS, json.dumps([asdict(cell) for cell in cells])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    third = json.loads(done.stdout.splitlines()[-1])
    for cell, own, again, elsewhere in zip(cells, first, second, third, strict=True):
        yield {"cell": cell.label(), "digest": own[:16], "equal": own == again, "equal_elsewhere": own == elsewhere}


def digests(cells: list[Cell], device: torch.device) -> list[str]:
    """Return the digest of each cell's network; of one that fails, the error."""
    made = []
    for cell in cells:
        with failures_noted(cell) as row:
            row["digest"] = digest(ours(cell, device)[1])
        made.append(str(row.get("digest") or row["error"]))
    return made


def speed(size: Size, device: torch.device) -> Rows:
    """Time both loops in turns, and the memory that each takes."""
    for strategy in size.strategies:
        for batch in size.batches:
            for precision in size.precisions:
                yield from timed(size, {name: size.cell(strategy, batch, precision) for name in LOOPS}, device, LOOPS)


def stalls(size: Size, device: torch.device) -> Rows:
    """Time images from the device, from the file, and none."""
    for strategy in size.strategies[:2]:
        for batch in size.batches:
            cells = {one: size.cell(strategy, batch, "bf16", source=one) for one in ("fixed", "resident", "file")}
            yield from timed(size, cells, device, dict.fromkeys(cells, LOOPS["ours"]))


def regularizers(size: Size, device: torch.device) -> Rows:
    """Time regularizers over none, which takes as long as L2; on the deeper network those of `spa_gca` alone."""
    names = ["", *[name for name, row in METHODS.items() if row.needs and row.module][: size.every]]
    for backbone, some in ((size.large[0], names), (size.deeper, [name for name in names if name in DEEPER])):
        cells = {
            name or "none": replace(
                size.cell(size.strategies[0], size.batches[0], size.precisions[0], regularizer=name), backbone=backbone
            )
            for name in some
        }
        yield from timed(size, cells, device, dict.fromkeys(cells, LOOPS["ours"]))


def table5(size: Size, device: torch.device) -> Rows:
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
            yield {"cell": cell.label(), "repeat": repeat, "seconds": seconds, "training_seconds": result.seconds}
    yield {"cell": f"all {repeats * len(size.strategies)}", "seconds": total}


def timed(
    size: Size, cells: dict[str, Cell], device: torch.device, loops: dict[str, Callable[..., list[float]]]
) -> Rows:
    """Yield images per second of each cell, their rounds in turns, with the ratio to the first."""
    rates: dict[str, list[float]] = {name: [] for name in cells}
    memory: dict[str, int] = {}
    for _ in range(size.rounds):
        for name, cell in cells.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            rates[name].append(cell.images / loops[name](cell, device)[-1])
            memory[name] = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    first = next(iter(cells))
    for name, cell in cells.items():
        ratios = [own / other for own, other in zip(rates[name], rates[first], strict=True)]
        yield {
            "cell": cell.label(),
            "loop": name,
            "images_per_second": statistics.median(rates[name]),
            "slowest": min(rates[name]),
            "fastest": max(rates[name]),
            "n": len(rates[name]),
            f"ratio_to_{first}": statistics.median(ratios),
            "memory_mib": memory[name] / 2**20,
        }


@contextmanager
def failures_noted(cell: Cell) -> Iterator[dict[str, Any]]:
    """Yield a row, which gets the error that ends the block."""
    row: dict[str, Any] = {"cell": cell.label()}
    try:
        yield row
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


# Seconds on a GPU; g is part of the timed ones.
BLOCKS: dict[str, tuple[Callable[[Size, torch.device], Rows], int]] = {
    "a runs": (runs, 80),
    "b twice": (twice, 80),
    "c speed": (speed, 150),
    "d stalls": (stalls, 40),
    "e regularizers": (regularizers, 50),
    "f table 5": (table5, 110),
}


def block(name: str, size: Size, device: torch.device, *, deadline: int | None) -> dict[str, Any]:
    """Run a block until its deadline, by default its own, which is looked at between its rows."""
    function, seconds = BLOCKS[name]
    seconds = deadline or seconds
    started, rows, end = time.monotonic(), [], "whole"
    try:
        for row in function(size, device):
            rows.append(row)
            print(name, row, flush=True)
            if time.monotonic() - started > seconds:
                end = f"stopped after {seconds} s"
                break
    except Exception as error:
        end = f"{type(error).__name__}: {error}"
    return {"rows": rows, "end": end, "seconds": time.monotonic() - started}


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name, "")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *cells])


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def main() -> None:
    """Run the blocks; write what is known after each of them."""
    parser = argparse.ArgumentParser(description="Correctness, exactness, speed and memory of trainings on a GPU.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="all blocks on the CPU, in a minute")
    parser.add_argument("--blocks", nargs="+", choices=list(BLOCKS), default=list(BLOCKS))
    parser.add_argument("--deadline", type=int, help="seconds for each block, in place of its own")
    parser.add_argument(CELLS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = CPU if args.tiny else torch.device(args.device)
    if args.cells:
        print(json.dumps(digests([Cell(**one) for one in json.loads(args.cells)], device)))
        return
    result: dict[str, Any] = {"machine": described(device), "blocks": {}}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.blocks:
        result["blocks"][name] = block(name, TINY if args.tiny else Size(), device, deadline=args.deadline)
        (args.out / f"gpu-{device.type}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    parts = [
        f"## {name} ({one['end']}, {one['seconds']:.0f} s)\n\n{table(one['rows'])}\n"
        for name, one in result["blocks"].items()
    ]
    page = "\n".join([f"# {result['machine']['device']}\n\n{table([result['machine']])}\n", *parts])
    (args.out / f"gpu-{device.type}.md").write_text(page, encoding="utf-8")
    print(page)
    if failed := [name for name, one in result["blocks"].items() if has_failed(one)]:
        sys.exit(f"not all is well in: {', '.join(failed)}")


def has_failed(block: dict[str, Any]) -> bool:
    """Return whether an error ended the block or is in a row; its deadline is none."""
    return not block["end"].startswith(("whole", "stopped")) or any(
        "error" in row or row.get("equal") is False or row.get("equal_elsewhere") is False for row in block["rows"]
    )


def described(device: torch.device) -> dict[str, Any]:
    """Return device, driver and versions."""
    whole = machine(device)
    driver = ""
    if device.type == "cuda":
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    versions = whole.pop("versions")
    return {**whole, **versions, "driver": driver}


if __name__ == "__main__":
    main()
