"""Arguments that a mechanism refuses."""

import inspect

import pytest
from torch import nn

from pipeline.core import choices
from pipeline.core.errors import InputError
from pipeline.networks.attention.hierarchical import HierarchicalAttention
from pipeline.networks.attention.table import ATTENTIONS

C = 16
TAKES = {name: inspect.signature(row.make).parameters for name, row in sorted(ATTENTIONS.items()) if row.module}
REDUCED = [name for name, parameters in TAKES.items() if "reduction" in parameters]
GATED = [name for name, parameters in TAKES.items() if "gate_init" in parameters]
SIZED = ["cbam", "csca", "ecsm", "sa", "spatial"]


def test_the_options_of_the_papers_mechanisms_are_found() -> None:
    assert set(REDUCED) >= {"se", "cbam", "self", "ecsm", "ca", "csca", "hierarchical"}
    assert set(GATED) >= {"se", "eca", "spatial", "cbam", "ecsm", "ca", "sa", "csca", "hierarchical"}


def count(attention: nn.Module) -> int:
    return sum(parameter.numel() for parameter in attention.parameters())


@pytest.mark.parametrize("name", REDUCED)
def test_a_reduction_that_leaves_no_channel_is_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        ATTENTIONS[name].make(256, reduction=512)
    assert str(caught.value) == f"attention '{name}': reduction 512 leaves none of 256 channels; give at most 256"


@pytest.mark.parametrize("name", REDUCED)
def test_a_reduction_under_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"^attention '{name}': reduction 0 is under 1; give 1 to 256$"):
        ATTENTIONS[name].make(256, reduction=0)


@pytest.mark.parametrize("name", REDUCED)
def test_a_reduction_that_does_not_divide_is_rounded_down(name: str) -> None:
    assert count(ATTENTIONS[name].make(20, reduction=8)) == count(ATTENTIONS[name].make(20, reduction=10))


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("size", [4, 0, -1])
def test_a_kernel_size_that_is_not_odd_and_positive_is_refused(name: str, size: int) -> None:
    with pytest.raises(
        InputError, match=f"^attention '{name}': kernel_size {size} is not a positive odd number; give one$"
    ):
        ATTENTIONS[name].make(C, kernel_size=size)


@pytest.mark.parametrize("name", GATED)
def test_an_unknown_gate_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^gate_init: 'zero' is not known; known: paper, identity$"):
        ATTENTIONS[name].make(C, gate_init="zero")


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match=r"^attention 'csca': mode 'both' is not known; known: joint, sequential$"):
        ATTENTIONS["csca"].make(C, mode="both")


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_a_momentum_out_of_range_is_refused(momentum: float) -> None:
    with pytest.raises(
        InputError, match=f"^attention 'hierarchical': memory_momentum {momentum} is out of range; give 0"
    ):
        ATTENTIONS["hierarchical"].make(C, reduction=4, memory_momentum=momentum)


def test_an_unknown_mechanism_is_refused() -> None:
    known = "none, se, eca, spatial, cbam, self, ecsm, ca, sa, csca, hierarchical"
    with pytest.raises(InputError, match=f"^attention: 'x' is not known; known: {known}"):
        choices.row(ATTENTIONS, "x", key="attention")


def test_a_mechanism_is_found_by_its_name() -> None:
    assert ATTENTIONS["hierarchical"].make is HierarchicalAttention
