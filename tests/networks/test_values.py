import pytest
import torch

from pipeline.evaluation.distributions import BINS, distributions, first_values
from pipeline.networks.backbones.table import make


def test_the_first_layers_are_the_first_convolution_and_the_first_batch_norm() -> None:
    parameters = first_values(make("resnet18", 64))
    assert {name: tuple(values.shape) for name, values in parameters.items()} == {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.weight": (64,),
        "bn1.bias": (64,),
    }


def test_a_network_without_batch_norms_has_its_first_convolution_alone() -> None:
    assert list(first_values(make("vit_b_16", 32))) == ["conv_proj.weight"]


def test_the_values_are_copies() -> None:
    model = make("resnet18", 64)
    weight = first_values(model)["conv1.weight"]
    before = weight.clone()
    with torch.no_grad():
        model.get_parameter("conv1.weight").zero_()
    assert torch.equal(weight, before)


def test_every_value_is_in_a_bin_and_equal_values_have_equal_shares() -> None:
    values = {"w": torch.tensor([-1.0, 0.0, 0.0, 3.0])}
    shares = distributions({"start": values, "trained": values, "random": {"w": torch.tensor([5.0])}})["w"]
    assert len(shares["edges"]) == BINS + 1
    assert (shares["edges"][0], shares["edges"][-1]) == (-1.0, 5.0)
    assert shares["start"] == shares["trained"]
    assert sum(shares["start"]) == pytest.approx(1)
    assert (shares["start"][0], max(shares["start"]), shares["random"][-1]) == (0.25, 0.5, 1.0)
