"""Forward passes of which only the shapes count."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.networks.build import Plan, build
from pipeline.networks.insertion import on_meta
from pipeline.networks.network import Network
from pipeline.networks.shapes_alone import ShapesAlone

BACKBONES = ["resnet18", "vgg16", "googlenet", "efficientnet_b0", "efficientnet_lite0", "mobilenet_v2", "vit_b_16"]


def shapes(network: Network, images: torch.Tensor) -> dict[str, Any]:
    """Return the shape of every module's output."""
    by_module: dict[str, Any] = {}

    def look(name: str) -> Any:
        return lambda _module, _inputs, output: by_module.__setitem__(name, getattr(output, "shape", None))

    hooks = [module.register_forward_hook(look(name)) for name, module in network.model.named_modules()]
    network(images)
    for hook in hooks:
        hook.remove()
    return by_module


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_shape_and_the_operations_are_those_of_a_whole_pass(backbone: str) -> None:
    plan = Plan(backbone, "linear", 5, 64, head_options={"dropout": 0.1}, attention="none")
    network = on_meta(build(plan, pretrained=None)).eval()
    images = torch.empty(1, 3, 64, 64, device="meta")
    with torch.no_grad():
        with FlopCounterMode(display=False) as whole:
            expected = shapes(network, images)
        with FlopCounterMode(display=False) as alone, ShapesAlone():
            assert shapes(network, images) == expected
    assert alone.get_total_flops() == whole.get_total_flops() > 0


def test_norms_and_activations_are_skipped_and_nothing_else() -> None:
    block = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(), nn.Conv2d(3, 4, 1))
    images = -torch.ones(1, 3, 2, 2)
    with torch.no_grad(), ShapesAlone():
        assert torch.equal(block[:3](images), images)
        output = block(images)
    torch.testing.assert_close(output, block[3](images))
