"""Several bundles, or networks of one, in one process: each computes as it did alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_files import write

from pipeline.bundles import bundle, contents
from pipeline.core import precision, seeding
from pipeline.core.errors import InputError
from pipeline.networks.network import Network


@pytest.fixture
def threads() -> Iterator[None]:
    """Have the number of threads in the end that there was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def loaded(folder: Path, threads: int) -> bundle.Bundle:
    said = contents.describe(folder)
    return bundle.assemble(folder, replace(said, computation=replace(said.computation, threads=threads)), device="cpu")


def test_each_runs_with_its_own_threads_and_precision_though_another_was_loaded_later(
    bundled: Path, threads: None, float32: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "cores", lambda: 2)
    first, second = loaded(bundled, 1), loaded(bundled, 2)
    side = first.description.preprocessing.image_size
    images = np.zeros((1, 3, side, side), np.uint8)
    for one, count in ((first, 1), (second, 2), (first, 1)):
        # As a bundle on a GPU leaves it.
        precision.set_float32("tf32")
        one.run(images)
        assert torch.get_num_threads() == one.threads == count
        assert set(float32().values()) == {"ieee"}


def test_each_network_of_an_ensemble_is_tried_once_before_it_is_bundled(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, tried = bundle.scores_and_features, []

    def counted(network: Network, *words: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
        tried.append(network)
        return plain(network, *words, **options)

    monkeypatch.setattr(bundle, "scores_and_features", counted)
    write(tmp_path / "ensemble", "ensemble")
    assert len(tried) == len(set(tried)) == 2


def test_what_is_no_device_is_refused_in_a_line(bundled: Path) -> None:
    with pytest.raises(InputError, match=r"^device: 'gpu': give auto, cpu, cuda, cuda:1 or mps$"):
        bundle.load(bundled, device="gpu")
