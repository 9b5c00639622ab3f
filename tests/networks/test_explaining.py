import numpy as np
import pytest
import tiny
import torch

from pipeline.evaluation import explanations
from pipeline.networks.build import Plan, build
from pipeline.networks.network import Network

CLASSES = [0, 2, 1]

pytestmark = pytest.mark.usefixtures("narrow")


def network(backbone: str = "resnet18", head: str = "linear", *, side: int = 64, attention: str = "none") -> Network:
    torch.manual_seed(0)
    options = {} if head == "conv1x1" else {"dropout": 0.0}
    return build(Plan(backbone, head, 3, side, options, attention=attention), pretrained=None)


def images(side: int = 64) -> torch.Tensor:
    return torch.rand(len(CLASSES), 3, side, side, generator=torch.Generator().manual_seed(1))


def last_maps(model: Network) -> torch.Tensor:
    with torch.no_grad():
        stop = [step.name for step in model.steps].index("avgpool")
        return model.eval().run(images(), stop=stop)


def test_grad_cam_of_a_linear_head_is_the_maps_weighted_by_its_row_of_the_class() -> None:
    model = network()
    maps = last_maps(model)
    weights = model.model.get_parameter("fc.weight").detach()[CLASSES]
    expected = torch.relu((weights[:, :, None, None] * maps).sum(1)) / maps[0, 0].numel()
    grad_cam = explanations.class_activation(model, images(), CLASSES)["grad_cam"]
    np.testing.assert_allclose(grad_cam, expected.numpy(), atol=1e-6)
    assert grad_cam.max() > 0


def test_the_head_conv1x1_gives_maps_whose_average_is_the_score() -> None:
    model = network(head="conv1x1")
    maps = explanations.class_maps(model, images(), CLASSES)
    assert maps is not None
    with torch.no_grad():
        scores = model.eval()(images())[torch.arange(3), CLASSES]
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), scores.numpy(), atol=1e-5)


def test_grad_cam_of_the_head_conv1x1_is_the_positive_part_of_its_class_maps_without_bias() -> None:
    model = network(head="conv1x1")
    own = explanations.class_maps(model, images(), CLASSES)
    assert own is not None
    bias = model.model.get_parameter("fc.convolution.bias").detach().numpy()[CLASSES]
    grad_cam = explanations.class_activation(model, images(), CLASSES)["grad_cam"]
    np.testing.assert_allclose(4 * grad_cam, np.maximum(own - bias[:, None, None], 0), atol=1e-5)


def test_another_head_has_no_maps_of_its_own() -> None:
    assert explanations.class_maps(network(), images(), CLASSES) is None


@pytest.mark.parametrize(
    ("backbone", "last", "finer", "sides"),
    [
        ("resnet18", "layer4.1", "layer3.1", (2, 4)),
        ("mobilenet_v2", "features.18", "features.13", (2, 4)),
        ("vit_b_16", "encoder.layers.encoder_layer_8", "encoder.layers.encoder_layer_8", (4, 4)),
    ],
)
def test_maps_are_taken_after_the_last_stage_and_the_one_before(
    backbone: str, last: str, finer: str, sides: tuple[int, int]
) -> None:
    model = network(backbone)
    assert explanations.layers(model, 64) == (last, finer)
    maps = explanations.class_activation(model, images(), CLASSES)
    assert maps["grad_cam"].shape == (3, sides[0], sides[0])
    assert maps["layer_cam"].shape == (3, sides[1], sides[1])


def test_attention_after_a_stage_is_a_part_of_it_and_returns_its_maps() -> None:
    model = network(attention="ecsm")
    assert explanations.layers(model, 64).last == "attention.block4"
    maps = explanations.attention(model, images())
    assert {name: weights.shape for name, weights in maps.items()} == {
        "eca.channel": (3, tiny.WIDTHS[-1]),
        "spatial.position": (3, 2, 2),
        "self.position": (3, 2, 2),
    }


def test_without_attention_there_are_no_maps_of_it() -> None:
    assert explanations.attention(network(), images()) == {}


def test_feature_maps_are_the_mean_and_the_first_channels_of_each_stage() -> None:
    model = network()
    maps = explanations.features(model, images())
    sides = {"stem": 16, "block1": 16, "block2": 8, "block3": 4, "block4": 2}
    assert {stage: values.shape for stage, values in maps.items()} == {s: (3, 4, n, n) for s, n in sides.items()}
    mean = last_maps(model).mean(1).numpy()
    np.testing.assert_array_equal(maps["block4"][:, 0], explanations.scaled(mean))


def test_explaining_leaves_the_network_as_it_was() -> None:
    model = network(attention="ecsm").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explanations.class_activation(model, images(), CLASSES)
    explanations.features(model, images())
    explanations.attention(model, images())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_same_images_have_the_same_maps_however_many_are_explained_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    together = explanations.class_activation(model, images(), CLASSES)
    monkeypatch.setattr(explanations, "AT_ONCE", 2)
    apart = explanations.class_activation(model, images(), CLASSES)
    for name, maps in together.items():
        np.testing.assert_allclose(apart[name], maps, atol=1e-6)


def test_tokens_lie_as_their_patches_without_those_before_them() -> None:
    # Four registers and a class before four patches are as many as nine patches.
    tokens = torch.arange(9.0).reshape(1, 9, 1)
    assert explanations.as_grid(tokens, 5).tolist() == [[[[5.0, 6.0], [7.0, 8.0]]]]
    assert explanations.as_grid(tokens, 0).shape == (1, 1, 3, 3)
