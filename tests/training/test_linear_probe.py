"""The solved head is the minimum of what it is said to minimize, and is put where the network has its last layer."""

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.assembly import head_solution
from pipeline.core import progress
from pipeline.core.stopping import StoppedError, StopRequest
from pipeline.networks.build import Plan, build
from pipeline.networks.network import Network
from pipeline.training import linear_probe
from pipeline.training.contract import Examples
from pipeline.training.images import Images


def blobs(classes: int, images: int = 60, features: int = 8) -> tuple[Any, Any]:
    numbers = np.random.default_rng(0)
    labels = np.arange(images) % classes
    return 5.0 + numbers.normal(size=(images, features)) + 2 * numbers.normal(size=(classes, features))[labels], labels


def objective(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, balanced: bool, strength: float) -> Tensor:
    """The penalized loss in the features as they are: the penalty is of weights for features of unit variance."""
    weights = len(y) / (len(weight) * torch.bincount(y, minlength=len(weight))) if balanced else torch.ones(len(weight))
    scale = (x - x.mean(0)).square().mean().sqrt()
    penalty = 0.5 * (weight * scale).square().sum()
    return penalty + strength * (weights[y] * F.cross_entropy(x @ weight.T + bias, y, reduction="none")).sum()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_the_gradient_of_the_penalized_loss_is_zero_at_the_probe(classes: int, balanced: bool) -> None:
    features, labels = blobs(classes)
    # Classes of different sizes.
    features, labels = features[labels < classes - 1], labels[labels < classes - 1]
    more, of = blobs(classes)
    features, labels = np.vstack([features, more[of == classes - 1][:9]]), np.hstack([labels, [classes - 1] * 9])
    probe = linear_probe.fit(features, labels, np.arange(len(labels)), classes=classes, balanced=balanced)
    assert probe.strength in linear_probe.STRENGTHS
    weight, bias, x = (torch.tensor(values) for values in (probe.weight, probe.bias, features))
    start = objective(
        torch.zeros_like(weight), torch.zeros_like(bias), x, torch.tensor(labels), balanced, probe.strength
    )
    weight.requires_grad_(), bias.requires_grad_()
    loss = objective(weight, bias, x, torch.tensor(labels), balanced, probe.strength)
    slopes = torch.autograd.grad(loss, [weight, bias])
    # In the units of the solver, whose features are centered and scaled.
    assert loss < start
    assert max(slope.abs().max() for slope in slopes) < 2e-3 * probe.strength * len(labels)


def test_the_probe_is_the_same_whatever_the_scale_of_the_features() -> None:
    features, labels = blobs(3)
    one, other = (
        linear_probe.fit(k * features, labels, np.arange(len(labels)), classes=3, balanced=False) for k in (1.0, 1024.0)
    )
    assert one.strength == other.strength
    np.testing.assert_allclose(other.weight * 1024, one.weight, rtol=1e-6)


def test_a_fit_that_is_asked_to_stop_stops_after_the_fold_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    features, labels = blobs(3)
    asked = [None, None, StoppedError(StopRequest(), "between two folds")]
    with pytest.raises(StoppedError, match="between two folds"):
        linear_probe.fit(features, labels, np.arange(60), classes=3, balanced=False, on_fit=Mock(side_effect=asked))
    assert capsys.readouterr().err.splitlines()[-1] == "head: 2 of 36 fits"


def test_a_class_of_a_single_image_and_one_without_any_are_taken_as_they_are() -> None:
    features, labels = blobs(3)
    keep = (labels < 2) | (np.arange(len(labels)) == 2)
    probe = linear_probe.fit(features[keep], labels[keep], np.arange(keep.sum()), classes=4, balanced=False)
    assert probe.strength == linear_probe.WITHOUT_FOLDS
    assert not probe.weight[3].any()
    scores = features @ probe.weight.T + probe.bias
    assert (scores.argmax(1)[keep] == labels[keep]).mean() > 0.9


def test_copies_of_a_photograph_make_the_penalty_no_weaker() -> None:
    """Features without a signal: a classifier of single photographs knows their copies, and nothing else."""
    numbers = np.random.default_rng(0)
    features, labels = numbers.normal(size=(40, 64)), np.arange(40) % 4
    twice = np.vstack([features, features + 1e-3 * numbers.normal(size=features.shape)])
    both, apart = np.hstack([labels, labels]), np.arange(80)
    fooled = linear_probe.fit(twice, both, apart, classes=4, balanced=False)
    told = linear_probe.fit(twice, both, apart % 40, classes=4, balanced=False)
    assert told.strength < fooled.strength


def test_a_class_whose_images_are_all_copies_of_one_leaves_no_folds() -> None:
    features, labels = blobs(3)
    groups = np.where(labels == 2, 0, 1 + np.arange(len(labels)))
    probe = linear_probe.fit(features, labels, groups, classes=3, balanced=False)
    assert probe.strength == linear_probe.WITHOUT_FOLDS


class Identity:
    """Images as they are packed."""

    random_parameters = 0
    computes_on_cpu = False

    def eval_transform(self, images: Tensor) -> Tensor:
        return images

    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        raise AssertionError


def solved(head: str, backbone: str = "resnet18") -> tuple[Network, Examples]:
    torch.manual_seed(0)
    options = {"dropout": 0.5} if head == "linear" else {}
    network = build(Plan(backbone, head, 3, 32, head_options=options), pretrained=None)
    numbers = np.random.default_rng(0)
    labels = np.arange(18) % 3
    # Three kinds of images that differ in brightness, and rows behind them that nothing may read.
    pixels = (numbers.integers(0, 80, (18, 3, 32, 32)) + 80 * labels[:, None, None, None]).astype(np.uint8)
    rows = torch.arange(18)
    images = Images(pixels, rows, mean=[0.5] * 3, std=[0.3] * 3, device=torch.device("cpu"), transform=Identity())
    examples = Examples(images, torch.from_numpy(labels), rows[:15], rows[15:])
    state = torch.get_rng_state()
    head_solution.solve(
        network, examples, np.arange(len(examples.train)), balanced=False, batch_size=4, precision="fp32"
    )
    assert torch.equal(state, torch.get_rng_state())
    return network, examples


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "conv1x1", "torchvision"])
def test_the_network_scores_as_the_probe_on_the_features_of_its_last_layer(head: str) -> None:
    network, examples = solved(head)
    layer = head_solution.last_layer(network)
    assert isinstance(layer, nn.Linear) == (head != "conv1x1")
    with torch.no_grad():
        x = examples.images.batch(examples.train)
        features = network.run(x, stop=network.head_start)
        features = (features.mean((2, 3)) if features.dim() > 2 else features).double().numpy()
        scores = network.run(x).double().numpy()
    labels = examples.labels[examples.train].numpy()
    probe = linear_probe.fit(features, labels, np.arange(len(labels)), classes=3, balanced=False)
    np.testing.assert_allclose(scores, features @ probe.weight.T + probe.bias, rtol=1e-3, atol=1e-3)
    assert (scores.argmax(1) == labels).all()


def test_features_that_a_head_is_solved_on_are_read_from_the_device_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, cpu = [], Tensor.cpu
    monkeypatch.setattr(Tensor, "cpu", lambda values: (read.append(values.shape), cpu(values))[1])
    solved("linear")
    assert read == [(15, 512)]
