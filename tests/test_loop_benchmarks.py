"""The programs that time training, at a small size on the CPU, where little more than torch is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import loop_cells
import pytest
import yaml

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
    assert all(row["equal"] and row["equal_elsewhere"] for row in exact)
    assert all(row["relative"] == 0 for row in result["blocks"]["a runs"]["rows"])
    assert {"driver", "torch", "device"} <= set(result["machine"])
    page = (tmp_path / "gpu-cpu.md").read_text(encoding="utf-8")
    assert all(f"## {name} (whole" in page for name in result["blocks"])


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
