"""Questions that only a GPU can answer, in nine minutes: what runs, what is exact, how fast, what stalls, memory.

Needs torch, torchvision, numpy and tqdm alone, so that it runs on a GPU machine without the rest:

    python benchmarks/gpu.py --out benchmarks/results

Blocks, each with a deadline: (a) every backbone, attention and regularizer takes three steps, none of which waits for
the device, and the first has the CPU's losses; (b) a training ends with the same bits twice, and in a second process;
(c) images per second, in rounds that alternate with a tuned plain loop's; (d) the same with images that are not read
anew, and with images from the file; (e) regularizers over none; (f) ECSM's Table 5, five strategies times five repeats,
in this process; (g) memory. `--tiny` runs all of them on a CPU within a minute, to see that this program works.

What is known is written after each row, and no block begins after nine and a half minutes. They may end (f) before its
last training. To see it whole, give it a deadline of its own:

    python benchmarks/gpu.py --blocks "f table 5" --deadline 570 --out OTHER_FOLDER
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from gpu_blocks import CELLS, CPU, Row, Rows, digests, regularizers, runs, speed, stalls, table5, twice
from loop_cells import TINY, Cell, Size
from loops import machine

# Seconds after which no block begins.
TOTAL = 570
# Seconds on a GPU; g is part of the timed ones.
BLOCKS: dict[str, tuple[Callable[[Size, torch.device, float], Rows], int]] = {
    "a runs": (runs, 80),
    "b twice": (twice, 80),
    "c speed": (speed, 150),
    "d stalls": (stalls, 40),
    "e regularizers": (regularizers, 50),
    "f table 5": (table5, 110),
}


def run_block(name: str, size: Size, device: torch.device, *, seconds: float, save: Callable[[Row], None]) -> None:
    """Run a block for so many seconds, which are looked at between its rows, and save it after each of them."""
    started = time.monotonic()
    block: Row = {"rows": [], "end": "killed", "seconds": 0.0}
    end = "whole"
    try:
        for rows in BLOCKS[name][0](size, device, started + seconds):
            block["rows"] += rows
            block["seconds"] = time.monotonic() - started
            save(block)
            for row in rows:
                print(name, row, flush=True)
            if block["seconds"] > seconds:
                end = f"stopped after {seconds:.0f} s"
                break
    except Exception as error:
        end = f"{type(error).__name__}: {error}"
    save(block | {"end": end, "seconds": time.monotonic() - started})


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name, "")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *cells])


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def main() -> None:
    """Run the blocks; write what is known after each row."""
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
    started = time.monotonic()
    for name in args.blocks:
        seconds = min(args.deadline or BLOCKS[name][1], TOTAL - (time.monotonic() - started))
        if seconds <= 0:
            result["blocks"][name] = {"rows": [], "end": "not begun, as the time was used up", "seconds": 0.0}
            continue
        save = partial(written, result, name, args.out / f"gpu-{device.type}.json")
        run_block(name, TINY if args.tiny else Size(), device, seconds=seconds, save=save)
    print(page(result))
    if failed := [name for name, one in result["blocks"].items() if has_failed(one)]:
        sys.exit(f"not all is well in: {', '.join(failed)}")


def written(result: Row, name: str, file: Path, block: Row) -> None:
    """Put a block into the results, and write them, as JSON and as a page in Markdown."""
    result["blocks"][name] = block
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text(page(result), encoding="utf-8")


def page(result: Row) -> str:
    """Return the results as a page in Markdown."""
    parts = [
        f"## {name} ({one['end']}, {one['seconds']:.0f} s)\n\n{table(one['rows'])}\n"
        for name, one in result["blocks"].items()
    ]
    return "\n".join([f"# {result['machine']['device']}\n\n{table([result['machine']])}\n", *parts])


def has_failed(block: dict[str, Any]) -> bool:
    """Return whether an error ended the block or is in a row; its deadline is none."""
    return not block["end"].startswith(("whole", "stopped", "not begun")) or any(
        "error" in row or row.get("equal") is False or row.get("equal_elsewhere") is False for row in block["rows"]
    )


def described(device: torch.device) -> dict[str, Any]:
    """Return device, driver and versions."""
    whole = machine(device)
    driver = ""
    if device.type == "cuda":
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        # Containers may lack the program.
        with suppress(OSError):
            driver = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    versions = whole.pop("versions")
    return {**whole, **versions, "driver": driver}


if __name__ == "__main__":
    main()
