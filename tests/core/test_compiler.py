"""torch's compiler stays away where nothing is compiled, and is the real one where something is."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = "print(sorted(name for name in sys.modules if name.startswith(('torch._dynamo', 'torch._inductor'))))\n"

TIMM = "print(sorted({'timm', 'huggingface_hub'} & set(sys.modules)))\n"

# All that stages and commands do with networks but training with a compiled one.
EVERYTHING = """
import sys
import pipeline.stages.source, pipeline.stages.train, pipeline.stages.evaluate
import pipeline.commands.describe, pipeline.commands.doctor
import torch
from pipeline import config
from pipeline.core import compiler, seeding
from pipeline.assembly.loop_settings import loop_settings
from pipeline.evaluation import cost
from pipeline.networks import freezing
from pipeline.networks.build import Plan, build
from pipeline.evaluation.explanations import class_activation
from pipeline.training import optim
from pipeline.training.table import OPTIMIZERS

seeding.make_exact(threads=1, device="cpu", precision="fp32")
plan = Plan("resnet18", "linear", 2, 64, {"dropout": 0.0}, "cbam", None, {"reduction": 8, "kernel_size": 7})
with compiler.meta_device():
    cost.flops(build(plan, pretrained=None), 64)
network = build(plan, pretrained=None)
cost.flops(network, 64)
values = config.read()
for kind in OPTIMIZERS:
    values["recipes"]["quick"]["train"]["optimizer"] = kind
    settings = loop_settings(config.resolve(config.check(values)).recipe)
    optimizer = optim.make_optimizer(network.groups(), settings, lr=1e-3, factors={})
    schedule = optim.make_schedule(optimizer, settings, [3])
    network(torch.zeros(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
class_activation(network, torch.zeros(1, 3, 64, 64), [0])
"""

# In one process after all that.
COMPILED = """
class Small(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.relu(x) + 1

x = torch.arange(-2.0, 2.0)
assert torch.equal(torch.compile(Small(), backend="eager", fullgraph=True)(x), Small()(x))
assert torch.equal(torch.export.export(Small(), (x,)).module()(x), Small()(x))
import torchvision
maps, boxes = torch.rand(1, 2, 8, 8), torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
assert torchvision.ops.roi_align(maps, boxes, 2).shape == (1, 2, 2, 2)
assert type(sys.modules["torch._dynamo"]) is type(sys), "a stand-in is left"
assert type(sys.modules["torch._dynamo.utils"]) is type(sys), "a stand-in is left"
print(torch._dynamo.is_compiling())
"""


def printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_no_stage_and_no_command_loads_it_and_afterward_it_compiles_and_exports() -> None:
    # Nor timm, which takes as long: it is for its own backbones alone.
    assert printed(EVERYTHING + LOADED + TIMM + COMPILED) == ["[]", "[]", "False"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        "import torch._dynamo.config; torch._dynamo.config.verbose",
        "from torch._dynamo.utils import counters; counters",
        "torch.compile(torch.nn.ReLU(), backend='eager')(torch.zeros(1))",
    ],
)
def test_a_use_while_it_is_deferred_gets_the_real_one(use: str) -> None:
    code = f"import sys, torch\nfrom pipeline.core import compiler\nwith compiler.deferred():\n    {use}\n"
    assert printed(code + "print(type(sys.modules['torch._dynamo']).__name__, torch._dynamo.is_compiling())") == [
        "module False"
    ]


def test_torchvision_is_imported_in_one_place() -> None:
    importing = [
        file.relative_to(ROOT).as_posix()
        for file in sorted((ROOT / "pipeline").rglob("*.py"))
        if any(
            line.strip().startswith(("import torchvision", "from torchvision"))
            for line in file.read_text(encoding="utf-8").splitlines()
        )
    ]
    assert importing == ["pipeline/core/vision.py"]
