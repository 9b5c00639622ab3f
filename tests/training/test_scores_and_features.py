"""Scores and features of a network in eval mode: their values, and what is copied between CPU and GPU for them."""

import itertools

import pytest
import torch
from test_batches import CPU, GPU, Copies, images
from torch import Tensor

from pipeline.training import predict
from pipeline.training.images import Images

ROWS = torch.arange(20).flip(0)


class Tokens:
    """A network of two steps: tokens (N, 8, 24) of an image, of which the first is its features, and two of those."""

    head_start = 1

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        return x[:, :2] + 1 if start else x.flatten(1).view(len(x), 8, 24)[:, 0]

    def eval(self) -> None:
        pass


def outputs(shown: Images) -> tuple[Tensor, Tensor]:
    return predict.scores_and_features(Tokens(), shown, ROWS, batch_size=8, precision="fp32")


@pytest.mark.parametrize("limit", [1, 1000, 2**26])
def test_values_are_those_of_the_rows_in_their_order_however_many_are_copied_at_once(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "COLLECTED_BYTES", limit)
    scores, features = outputs(images())
    expected = Tokens().run(images().batch(ROWS))
    assert torch.equal(features, expected)
    assert torch.equal(scores, expected[:, :2] + 1)


@pytest.mark.parametrize(("memory", "copied"), [(2**30, 1), (0, 3)], ids=["on the device", "from the file"])
@pytest.mark.parametrize(("limit", "read"), [(2**26, 2), (8 * 24 * 4, 4)])
def test_a_gpu_is_waited_for_once_in_a_while_and_not_in_each_batch(
    memory: int, copied: int, limit: int, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "COLLECTED_BYTES", limit)
    monkeypatch.setattr(Images, "free_memory", lambda _: memory)
    # Tensors on this device have no values to read.
    reads = itertools.count()
    monkeypatch.setattr(Tensor, "cpu", lambda values: (next(reads), torch.zeros(values.shape))[1])
    shown = images(device=GPU)
    with Copies() as counted:
        scores, features = outputs(shown)
    # Rows, or the images of three batches; scores, and features at once or batch by batch.
    assert counted.count == copied
    assert next(reads) == read
    assert (scores.shape, features.shape) == ((20, 2), (20, 24))


def test_what_is_collected_keeps_nothing_else_in_memory() -> None:
    collected, kept = predict.Collected(), torch.zeros(4, 1000, device=CPU)[:, :2]
    collected.add(kept)
    assert [part.untyped_storage().nbytes() for part in collected._parts] == [32]
    assert torch.equal(collected.joined(), kept)
