"""The loss of a batch beside its formula."""

import pytest
import torch
import torch.nn.functional as F
from small import Small, examples, settings, weights

from pipeline.training import contract, loop, losses


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothed_targets_are_the_class_less_a_share_for_all_classes(smoothing: float, weighted: bool) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    each = torch.tensor([1.0, 2.0, 3.0, 4.0]) if weighted else None
    targets = (1 - smoothing) * F.one_hot(labels, 4) + smoothing / 4
    of_images = -(targets * logits.log_softmax(1)).sum(1)
    expected = (of_images * (1 if each is None else each[labels])).mean()
    torch.testing.assert_close(losses.cross_entropy(logits, labels, each, smoothing=smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_balanced_classes_are_learned_with_and_without_smoothing(smoothing: float) -> None:
    labels = torch.tensor([0] * 1000 + [1] * 20)
    x = torch.where(labels == 0, -1.0, 1.0)[:, None]
    weights = len(labels) / (2 * torch.bincount(labels).float())
    torch.manual_seed(0)
    layer = torch.nn.Linear(1, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        losses.cross_entropy(layer(x), labels, weights, smoothing=smoothing).backward()
        optimizer.step()
    assert (layer(x).argmax(1) == labels).all()


def test_a_training_smooths_its_targets_and_its_validation_does_not() -> None:
    rows, trained = {}, {}
    for smoothing in (0.0, 0.2):
        # At a rate that moves nothing, so that both epochs are of one network.
        plan = contract.TrainingPlan((contract.PhasePlan(1, 1e-30),), label_smoothing=smoothing)
        network = Small()
        [rows[smoothing]] = loop.fit(network, examples(), settings(), seed=1, plan=plan).history
        trained[smoothing] = weights(network)
    assert rows[0.0]["val_loss"] == rows[0.2]["val_loss"]
    assert rows[0.0]["train_loss"] != rows[0.2]["train_loss"]
