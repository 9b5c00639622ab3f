"""Storing the outputs of modules, and the frozen reference network."""

import pytest
import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.feature_hooks import FeatureHooks, freeze_reference


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Sequential(nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5))
    )


def images() -> Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_hooks_store_the_outputs_of_the_named_modules_and_nothing_else() -> None:
    model = network()
    with FeatureHooks(model, ["0", "2.0"]) as maps:
        model(images())
    assert list(maps) == ["0", "2.0"]
    torch.testing.assert_close(maps["0"], model[0](images()), rtol=0, atol=0)
    torch.testing.assert_close(maps["2.0"], model[2][0](model[0](images()).relu()), rtol=0, atol=0)


def test_a_layer_that_works_in_place_does_not_change_a_stored_output() -> None:
    model = network()
    with FeatureHooks(model, ["0"]) as maps:
        model(images())
    assert (maps["0"] < 0).any()


def test_hooks_change_no_output_and_no_gradient() -> None:
    results = []
    for names in ([], ["0", "2.0"]):
        model = network()
        with FeatureHooks(model, names):
            output = model(images())
        output.square().sum().backward()
        results.append((output, [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_a_stored_output_carries_gradient_to_the_layers_before_it() -> None:
    model = network()
    with FeatureHooks(model, ["0"]) as maps:
        model(images())
    maps["0"].sum().backward()
    assert model[0].weight.grad is not None
    assert model[2][0].weight.grad is None


def test_the_last_of_several_passes_is_stored() -> None:
    model = network()
    with FeatureHooks(model, ["0"]) as maps:
        model(images())
        model(images() + 1)
    torch.testing.assert_close(maps["0"], model[0](images() + 1), rtol=0, atol=0)


def test_the_hooks_exist_inside_the_block_only() -> None:
    model = network()
    feature_hooks = FeatureHooks(model, ["0", "2.0"])
    assert hooks(model) == 0
    with feature_hooks:
        assert hooks(model) == 2
    assert hooks(model) == 0


def test_the_hooks_are_removed_after_an_exception() -> None:
    model = network()
    with pytest.raises(RuntimeError), FeatureHooks(model, ["0"]):
        model(torch.zeros(1, 1, 4, 4))
    assert hooks(model) == 0


def test_no_hook_is_set_where_one_name_is_wrong() -> None:
    model = network()
    with pytest.raises(InputError, match=r"^module '2\.7' is not in Sequential; similar: 2\.\d, 2\.\d, \d$"):
        FeatureHooks(model, ["0", "2.7"])
    assert hooks(model) == 0


def test_a_frozen_reference_is_a_copy_that_nothing_trains() -> None:
    model = network().train()
    model(images()).sum().backward()
    reference = freeze_reference(model)
    assert not any(module.training for module in reference.modules())
    assert not any(p.requires_grad or p.grad is not None for p in reference.parameters())
    own = {value.data_ptr() for value in model.state_dict().values()}
    assert not own & {value.data_ptr() for value in reference.state_dict().values()}
    torch.testing.assert_close(reference.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_freezing_a_reference_leaves_the_model_as_it_was() -> None:
    model = network().train()
    model(images()).sum().backward()
    freeze_reference(model)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is not None for p in model.parameters())
