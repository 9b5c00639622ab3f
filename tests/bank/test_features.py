"""Features of frozen networks: those that a training caches, kept by the image's content."""

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from pipeline.assembly import networks
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.machine import machine
from pipeline.assembly.training_plan import training_examples
from pipeline.assembly.transforms import eval_transform
from pipeline.bank import features as bank
from pipeline.core import paths
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks import freezing
from pipeline.networks.build import build
from pipeline.training import caches, checkpoints
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features
from pipeline.training.resuming import NOTHING_KEPT

COUNT = 9
NAMES = [f"{number:064x}" for number in range(COUNT)]


def packed() -> Packed:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 3, tiny.SIDE, tiny.SIDE), dtype=np.uint8)
    labels = np.arange(COUNT) % 2
    return Packed(pixels, NAMES, labels, ["a", "b"], (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "0" * 64)


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bank.Frozen:
    tiny.enter(tmp_path, monkeypatch)
    tiny.narrow(monkeypatch)
    # With attention and a larger head, which the frozen network has not.
    recipe = tiny.experiment({"train.batch_size": 4, "network.head": "mlp1024", "network.attention": "se"})
    values = checkpoints.read(tiny.make_weights_file())
    return bank.Frozen(recipe.network, recipe.data.sizes, recipe.data.packing, values, machine(recipe))


def opener(asked: list[list[int]], names: Sequence[str] = NAMES) -> bank.OpenImages:
    """Notes which images are packed."""

    @contextmanager
    def some(places: Sequence[int]) -> Iterator[Packed]:
        asked.append(list(places))
        whole, rows = packed(), [NAMES.index(names[one]) for one in places]
        yield Packed(whole.images[rows], NAMES, whole.labels[rows], whole.classes, whole.mean, whole.std, whole.sha256)

    return some


def plain() -> Recipe:
    return tiny.experiment({"train.batch_size": 4}, freeze="1")


def test_features_are_those_of_assemblys_frozen_network(frozen: bank.Frozen) -> None:
    recipe, data = plain(), packed()
    network = build(networks.plan(recipe, classes=2), pretrained=frozen.values)
    freezing.freeze(network, "1")
    view, rows = eval_transform(recipe.data.sizes), torch.arange(COUNT)
    images = Images(data.images, rows, mean=data.mean, std=data.std, device=frozen.on.device, transform=view)
    expected = scores_and_features(network, images, rows, batch_size=bank.BATCH, precision="fp32")[1].numpy()
    found = bank.features(frozen, NAMES, opener([])).values
    assert (found == expected).all()
    # And what the loop caches for strategy 1, up to last digits: its batches have another size.
    parts = {"train": rows, "val": rows[:0]}
    examples = training_examples(data, parts, frozen.on.device, view)
    network.eval()
    cached = caches.prefix_features(network, examples, loop_settings(recipe), NOTHING_KEPT, varies=False)
    assert cached.prefix == network.head_start
    np.testing.assert_allclose(cached(rows).flatten(1).numpy(), found, rtol=1e-4, atol=1e-5)


def test_an_image_goes_through_the_network_once_whatever_its_place_and_its_set(frozen: bank.Frozen) -> None:
    asked: list[list[int]] = []
    few = bank.features(frozen, NAMES[:5], opener(asked))
    again = bank.features(frozen, NAMES[4::-1], opener(asked, NAMES[4::-1]))
    whole = bank.features(frozen, [*NAMES, NAMES[0]], opener(asked))
    assert asked == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]
    assert (few.computed, again.computed, whole.computed) == (5, 0, 4)
    assert again.images_per_second == few.images_per_second > 0
    assert (again.values == few.values[::-1]).all()
    assert (whole.values[[*range(5), -1]] == few.values[[*range(5), 0]]).all()
    alone = paths.root() / paths.BANK
    assert len([one for one in alone.iterdir() if one.is_dir()]) == 1


def test_few_images_read_and_write_the_features_of_few(frozen: bank.Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank, "BLOCK", 2)
    whole = bank.features(frozen, NAMES[:7], opener([])).values
    (place,) = (paths.root() / paths.BANK).glob("features-*/")
    before = {file: file.stat().st_mtime_ns for file in place.glob(f"*/{bank.VALUES}")}
    loads, load = [], np.load
    monkeypatch.setattr(np, "load", lambda file, **options: (loads.append(file.parent.name), load(file, **options))[1])
    few = bank.features(frozen, [NAMES[8], NAMES[3]], opener([], [NAMES[8], NAMES[3]]))
    assert (few.values[1] == whole[3]).all()
    assert loads == ["000002"]
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert sorted(block.name for block in place.iterdir()) == [f"00000{number}" for number in range(1, 6)]


def test_features_that_were_not_read_for_30_days_are_removed(frozen: bank.Frozen) -> None:
    other = frozen._replace(packing="crop")
    own, old = (paths.root() / paths.BANK / one.key() for one in (frozen, other))
    for one in (frozen, other):
        bank.features(one, NAMES, opener([]))
    long_ago = time.time() - 29 * 24 * 3600
    os.utime(own, (long_ago, long_ago))
    assert not bank.missing(frozen, NAMES)
    assert time.time() - own.stat().st_mtime < 3600
    os.utime(old, (long_ago, long_ago - 2 * 24 * 3600))
    assert not bank.missing(frozen, NAMES)
    assert (own.exists(), old.exists()) == (True, False)


def test_a_wrong_byte_is_computed_anew(frozen: bank.Frozen) -> None:
    asked: list[list[int]] = []
    before = bank.features(frozen, NAMES, opener(asked)).values
    (file,) = (paths.root() / paths.BANK).glob(f"features-*/*/{bank.VALUES}")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert (bank.features(frozen, NAMES, opener(asked)).values == before).all()
    assert len(asked) == 2


@pytest.mark.parametrize("what", ["weights", "resize", "input_size", "precision"])
def test_features_of_other_weights_or_other_pixels_are_others(frozen: bank.Frozen, what: str) -> None:
    values = dict(frozen.values)
    first = next(iter(values))
    other = {
        "weights": frozen._replace(values=values | {first: values[first] + 1}),
        "resize": frozen._replace(packing="crop"),
        "input_size": frozen._replace(sizes=frozen.sizes._replace(input=64)),
        "precision": frozen._replace(on=frozen.on._replace(precision="bf16")),
    }[what]
    assert other.key() != frozen.key()
    # The experiment's own head, attention and rate change none.
    assert frozen._replace(settings=plain().network).key() == frozen.key()


def test_images_are_normalized_as_the_backbone_was_trained(
    frozen: bank.Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = frozen.row
    before, key = bank.compute(frozen, packed(), torch.arange(COUNT))[0], frozen.key()
    half = (0.5, 0.5, 0.5)
    monkeypatch.setattr(bank, "known", lambda _name: dataclasses.replace(row, mean=half, std=half))
    assert frozen.key() != key
    found = bank.compute(frozen, packed(), torch.arange(COUNT))[0]
    assert not np.allclose(found, before)
    # As what is said of a set of other values, the pixels being the same.
    images = Images(
        packed().images,
        torch.arange(COUNT),
        mean=half,
        std=half,
        device=frozen.on.device,
        transform=eval_transform(frozen.sizes),
    )
    expected = scores_and_features(
        frozen.network(), images, torch.arange(COUNT), batch_size=bank.BATCH, precision=frozen.on.precision
    )[1].numpy()
    assert (found == expected).all()
