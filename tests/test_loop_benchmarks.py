"""The programs that time training, at a small size on the CPU, where little more than torch is installed."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpu
import gpu_blocks
import loop_cells
import pytest
import simulated_gpu
import torch
import yaml
from torchvision.ops import StochasticDepth

ROOT = Path(__file__).parents[1]
# What such a machine need not have.
ABSENT = ("dvc", "mlflow", "pydantic", "sklearn", "yaml", "scipy", "matplotlib", "click", "torchcam", "imagehash")
BLOCKED = f"""
import runpy, sys
for name in {ABSENT}:
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, "benchmarks")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_every_block_runs_where_little_more_than_torch_is_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKED, "benchmarks/gpu.py", "--tiny", "--out", str(tmp_path)]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu-cpu.json").read_text(encoding="utf-8"))
    assert [name[0] for name in result["blocks"]] == list("abcdef")
    for name, block in result["blocks"].items():
        assert block["end"] == "whole", (name, block)
        assert block["rows"]
        assert not any("error" in row for row in block["rows"]), (name, block)
    exact = result["blocks"]["b twice"]["rows"]
    assert [row.get("equal", row.get("equal_elsewhere")) for row in exact] == [True] * len(exact)
    assert sum("equal_elsewhere" in row for row in exact) == len(exact) / 2
    assert all(row["off"] == 0 and row["train_loss"] > 0 for row in result["blocks"]["a runs"]["rows"])
    assert {"driver", "torch", "device"} <= set(result["machine"])
    page = (tmp_path / "gpu-cpu.md").read_text(encoding="utf-8")
    assert all(f"## {name} (whole" in page for name in result["blocks"])


def _run(name: str, seconds: float = 60, device: str = "cpu") -> dict[str, Any]:
    saved: list[dict[str, Any]] = []
    gpu.run_block(
        name, loop_cells.TINY, torch.device(device), seconds=seconds, save=lambda one: saved.append(dict(one))
    )
    block = saved[-1]
    # Every row was saved before the end.
    assert len(saved) == 1 or saved[-2]["rows"] == block["rows"]
    return block


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a runs", "d stalls"])
def test_a_block_runs_on_a_gpu(name: str) -> None:
    with simulated_gpu.simulated_gpu():
        block = _run(name, device="cuda")
    assert block["end"] == "whole"
    assert block["rows"]
    assert not gpu.has_failed(block)


def _broken(*_: object) -> None:
    raise RuntimeError("no device")


def test_a_training_that_fails_is_no_training_that_ends_the_same_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpu_blocks.ours", _broken)
    monkeypatch.setattr("gpu_blocks.PROGRAM", "nowhere.py")
    block = _run("b twice")
    assert [row["error"] for row in block["rows"]] == ["RuntimeError: no device"] * 2
    # The first process's rows are kept where the second one fails.
    assert block["end"].startswith("RuntimeError: the second process: ")
    assert gpu.has_failed(block)


@pytest.mark.parametrize("loss", [9.0, math.nan])
def test_losses_far_from_the_cpus_are_an_error(monkeypatch: pytest.MonkeyPatch, loss: float) -> None:
    found = iter([{"train_loss": 2.0}, {"train_loss": loss}] * 3)
    monkeypatch.setattr("gpu_blocks.ours", lambda *_: (None, None))
    monkeypatch.setattr("gpu_blocks.losses", lambda *_: next(found))
    block = _run("a runs")
    assert [row["error"] for row in block["rows"]] == ["not the CPU's losses, {'train_loss': 2.0}"] * 3
    assert gpu.has_failed(block)


def test_a_networks_own_draws_are_not_compared() -> None:
    network = torch.nn.Sequential(StochasticDepth(0.2, "row"))
    history = SimpleNamespace(history=[{"epoch": 1.0, "train_loss": 2.0, "train_accuracy": 1.0, "train_spa": 0.5}])
    assert gpu_blocks.losses(history, torch.nn.Sequential()) == {"train_loss": 2.0, "train_spa": 0.5}
    assert gpu_blocks.losses(history, network) == {}


def test_a_deadline_loses_no_row_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[{"cell": "1"}, {"cell": "2"}], [{"cell": "3"}]]
    monkeypatch.setitem(gpu.BLOCKS, "d stalls", (lambda *_: iter(rows), 40))
    block = _run("d stalls", seconds=0)
    assert (block["rows"], block["end"]) == (rows[0], "stopped after 0 s")
    assert not gpu.has_failed(block)


def test_a_machine_without_nvidias_program_has_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "machine", lambda _: {"device": "one", "versions": {"torch": "2"}})
    monkeypatch.setenv("PATH", "")
    assert gpu.described(torch.device("cuda")) == {"device": "one", "torch": "2", "driver": ""}


@pytest.mark.slow
def test_an_epoch_is_timed_beside_a_plain_loop_where_little_more_than_torch_is_installed(tmp_path: Path) -> None:
    few = ["--images", "8", "--batches", "4", "--sides", "32", "--strategies", "3b", "--rounds", "2"]
    command = [
        sys.executable,
        "-c",
        BLOCKED,
        "benchmarks/throughput.py",
        *few,
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    ]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=alone, check=True)
    result = json.loads((tmp_path / "throughput-cpu.json").read_text(encoding="utf-8"))
    by_loop = {row["loop"]: row for row in result["rows"]}
    assert set(by_loop) == {"ours", "ours, nothing cached", "plain"}
    assert by_loop["plain"]["to_plain"] == {"median": 1, "lowest": 1, "highest": 1}
    assert all(row["seconds"]["lowest"] > 0 and row["n"] == 2 for row in by_loop.values())


def test_table_5_has_the_recipes_own_settings() -> None:
    recipe = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["recipes"]["ecsm"]
    study = yaml.safe_load((ROOT / "studies" / "ecsm-table5.yaml").read_text(encoding="utf-8"))
    size, train = loop_cells.Size(), recipe["train"]
    assert size.large[:2] == (recipe["network"]["backbone"], recipe["data"]["image_size"])
    assert size.batches[0] == train["batch_size"]
    assert size.table[:2] == (len(study["set"]["repeats"]), train["budget"]["amount"])
    assert set(size.strategies) == set(study["cells"]) - {"scratch"}
