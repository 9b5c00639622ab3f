"""Mixup and CutMix beside torchvision's own, and the loss of mixed labels beside that of soft targets."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import Small, examples, settings, weights

from pipeline.core import compiler
from pipeline.training import contract, loop, losses, mixing
from pipeline.training.features import Features
from pipeline.training.mixing import Mix

BOTH = contract.TrainingPlan(mixup=0.2, cutmix=1.0)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(5, 3, 12, 12), torch.tensor([0, 1, 2, 0, 2])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_mixup_is_torchvisions(share: float) -> None:
    with compiler.deferred():
        from torchvision.transforms.v2 import MixUp
    x, labels = batch()
    reference = MixUp(num_classes=3)
    expected = reference.transform(x, {"lam": share, "labels": labels, "batch_size": 5})
    torch.testing.assert_close(Mix(share).images(x), expected)


@pytest.mark.parametrize(("share", "x", "y"), [(0.6, 3, 9), (0.1, 0, 0), (0.9, 11, 5), (1.0, 4, 4), (0.0, 6, 6)])
def test_cutmix_is_torchvisions(share: float, x: int, y: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with compiler.deferred():
        from torchvision.transforms.v2 import CutMix
    images, labels = batch()
    reference = CutMix(num_classes=3)
    points = iter([torch.tensor([x]), torch.tensor([y])])
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randint", lambda *_args, **_options: next(points))
        patch.setattr(reference._dist, "sample", lambda _shape: torch.tensor(share, dtype=torch.float64))
        parameters = reference.make_params([images])
    mix = mixing.cut(share, x, y, side=12)
    assert mix.share == pytest.approx(parameters["lam_adjusted"])
    expected = reference.transform(images, {**parameters, "labels": labels, "batch_size": 5})
    assert torch.equal(mix.images(images), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_labels_is_that_of_soft_targets(weighted: bool, smoothing: float) -> None:
    torch.manual_seed(1)
    logits, (_, labels) = torch.randn(5, 3), batch()
    each = torch.tensor([1.0, 2.0, 3.0]) if weighted else None
    smoothed = (1 - smoothing) * F.one_hot(labels, 3) + smoothing / 3
    # An image counts by the class of each of its labels.
    weighed = smoothed * (each[labels, None] if each is not None else 1)
    targets = 0.7 * weighed + 0.3 * weighed.roll(1, 0)
    expected = -(targets * logits.log_softmax(1)).sum(1).mean()
    loss = partial(losses.cross_entropy, logits, weights=each, smoothing=smoothing)
    torch.testing.assert_close(Mix(0.7).loss(loss, labels), expected)


def test_an_epochs_mixes_follow_from_the_seed_and_the_epoch_and_are_beta_distributed() -> None:
    draw = partial(mixing.draw, BOTH, 4000, side=32)
    mixes = draw(seed=1, epoch=1)
    assert mixes == draw(seed=1, epoch=1)
    assert mixes != draw(seed=1, epoch=2)
    assert mixes != draw(seed=2, epoch=1)
    plain = [one.share for one in mixes if one and one.box is None]
    assert len(plain) == pytest.approx(2000, abs=150)
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2a + 1)).
    assert np.mean(plain) == pytest.approx(0.5, abs=0.04)
    assert np.var(plain) == pytest.approx(1 / (4 * 1.4), abs=0.02)
    for one in mixes:
        if one and one.box:
            top, bottom, left, right = one.box
            assert 0 <= top <= bottom <= 32
            assert 0 <= left <= right <= 32


@pytest.mark.parametrize(("plan", "cuts"), [({"mixup": 1.0}, False), ({"cutmix": 1.0}, True)])
def test_one_of_both_alone_is_in_every_batch(plan: dict[str, float], cuts: bool) -> None:
    mixes = mixing.draw(contract.TrainingPlan(**plan), 20, side=8, seed=1, epoch=1)
    assert [one is not None and (one.box is not None) == cuts for one in mixes] == [True] * 20


def test_without_mixing_no_batch_is_mixed() -> None:
    assert mixing.draw(contract.TrainingPlan(), 2, side=8, seed=1, epoch=1) == [None, None]


def test_mixed_images_are_mixed_before_the_frozen_layers_and_never_cached() -> None:
    network, data = Small(frozen=True), examples()
    features = Features(network.eval(), data.images, torch.cat([data.train, data.val]), limit_mb=8, batch_size=8)
    assert features.cached
    mix, rows = Mix(0.3), data.train[:4]
    expected = network.run(mix.images(data.images.batch(rows)), stop=1)
    torch.testing.assert_close(features(rows, None, mix), expected)
    assert not torch.equal(features(rows), expected)


def test_the_first_step_of_a_mixed_training_is_that_of_its_mixed_batch() -> None:
    plan = contract.TrainingPlan((contract.PhasePlan(1, 0.05),), cutmix=1.0)
    network, data = Small(), examples(count=8, val=0)
    network.parts[2][0] = torch.nn.Identity()
    by_hand = Small()
    by_hand.parts[2][0] = torch.nn.Identity()
    loop.fit(network, data, settings(optimizer_options={"momentum": 0.0, "nesterov": False}), seed=1, plan=plan)
    from pipeline.training import sampling

    rows = sampling.order(data, plan, seed=1, epoch=1)
    [mix] = mixing.draw(plan, 1, side=16, seed=1, epoch=1)
    assert mix
    by_hand.train()
    mix.loss(
        partial(losses.cross_entropy, by_hand.run(mix.images(data.images.batch(rows)))), data.labels[rows]
    ).backward()
    with torch.no_grad():
        for parameter in by_hand.parameters():
            parameter -= 0.05 * parameter.grad
    torch.testing.assert_close(weights(network), weights(by_hand))
