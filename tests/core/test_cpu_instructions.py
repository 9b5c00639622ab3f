"""The instructions of CPU kernels: as chosen, in what computes with them, and a CPU that lacks them."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import described
import pytest
import tiny
import torch

from pipeline.bundles import bundle
from pipeline.core import cpu_instructions, paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record
from pipeline.stages import source, validate

OWN = torch.backends.cpu.get_cpu_capability()
WITH_AVX2 = pytest.mark.skipif(
    OWN not in ("AVX2", "AVX512"),
    reason="no AVX2 on this CPU: that its libraries compute with the instructions in force is not checked",
)
# A convolution and a product of matrices; oneDNN and MKL say what they compute them with.
COMPUTED = """
import sys
import torch
from pipeline.core import cpu_instructions
print("in force:", cpu_instructions.choose(sys.argv[1]))
torch.nn.functional.conv2d(torch.ones(2, 16, 9, 9), torch.ones(8, 16, 3, 3))
torch.ones(4, 5) @ torch.ones(5, 6)
print("torch:", torch.backends.cpu.get_cpu_capability())
"""


def computed(asked: str) -> tuple[str, str, str, str]:
    """What is in force in a process of its own, and what torch, oneDNN and MKL say that they compute with."""
    others = {name: value for name, value in os.environ.items() if name not in cpu_instructions.VARIABLES}
    words = [sys.executable, "-c", COMPUTED, asked]
    verbose = {"ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1"}
    said = subprocess.run(words, env=others | verbose, capture_output=True, text=True, check=True).stdout
    patterns = ("in force: (.*)", "torch: (.*)", "cpu,isa:(.*)", "CNR:(.*?) ")
    one, two, three, four = (re.findall(pattern, said)[0] for pattern in patterns)
    return one, two, three, four


@WITH_AVX2
def test_portable_is_avx2_in_torch_and_onednn_and_what_all_makers_cpus_have_in_mkl() -> None:
    assert computed("portable") == ("portable", "AVX2", "Intel AVX2", "COMPATIBLE")


@WITH_AVX2
def test_native_is_each_librarys_own_choice() -> None:
    in_force, torchs, _, mkls = computed("native")
    assert (in_force, torchs, mkls) == (OWN.lower(), OWN, "OFF")


@pytest.mark.slow
@WITH_AVX2
def test_a_training_with_portable_instructions_says_so_and_is_the_same_whatever_the_environment(project: Path) -> None:
    """The environment asks for other instructions, as another CPU would have."""
    written = []
    for own in ("avx2", "default"):
        tiny.write_params(cpu_instructions="portable", threads=1, weights="none", weights_file="models/none", freeze=2)
        source.main()
        variables = os.environ | {"ATEN_CPU_CAPABILITY": own, "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "AUTO"}
        for stage in ("train", "evaluate"):
            subprocess.run([sys.executable, "-m", f"pipeline.stages.{stage}", "1"], env=variables, check=True)
        folders = paths.training_metrics(1), paths.trained(1), paths.evaluation(1)
        written.append({file: file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()})
    assert written[0] == written[1]
    record = Record.parse(written[0][paths.training_metrics(1) / "record.json"], Path("record.json"))
    assert record.cpu_instructions == "portable"


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU without AVX2; the variables are set back in the end."""
    for name in cpu_instructions.VARIABLES:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")


@pytest.mark.usefixtures("lacking")
def test_a_cpu_without_avx2_is_refused_before_anything_is_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.put(tiny.recipe("quick", cpu_instructions="portable"))
    with pytest.raises(InputError, match=r"^cpu_instructions: portable needs .* AVX2, .* has default; give native"):
        validate.main()
    assert not paths.RECIPE.exists()
    tiny.put(tiny.recipe("quick"))
    validate.main()
    assert Recipe.read().cpu_instructions == "native"
    assert cpu_instructions.choose("native") == "default"


@pytest.mark.parametrize(("trained", "times"), [("portable", 1), ("avx512", 0), ("", 0)])
def test_a_bundle_computes_portably_where_its_scores_were_computed_so(
    trained: str, times: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other one computes as fast as its machine can."""
    calls: list[bool] = []
    monkeypatch.setattr(cpu_instructions, "prefer_portable", lambda: calls.append(True))
    computation = replace(described.REPEAT.computation, cpu_instructions=trained)
    bundle.assemble(tmp_path, replace(described.REPEAT, members=(), computation=computation), device="cpu")
    assert len(calls) == times


def test_the_measured_bits_are_the_same_on_every_cpu_and_the_docs_have_the_measured_times() -> None:
    results = json.loads((tiny.ROOT / "benchmarks/results/cpu-instructions.json").read_text(encoding="utf-8"))
    first, *others = results["bits"].values()
    assert others
    assert all(other == first for other in others)
    page = (tiny.ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
    assert f"{len(first)} trainings of small images" in " ".join(page.split())
    quoted = {
        row["training"].partition(" ")[0]: f"{row['median']:.2f} times" for row in results["times"][0]["rows"][::-1]
    }
    assert all(figure in " ".join(page.split()) for figure in quoted.values()), quoted
