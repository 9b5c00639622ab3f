"""Estimates of frozen networks: kept under all that they follow from."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from pipeline.assembly.machine import machine
from pipeline.bank import bank
from pipeline.bank.features import Frozen
from pipeline.core import provenance
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation.compare import statistics
from pipeline.training import checkpoints


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Frozen:
    tiny.enter(tmp_path, monkeypatch)
    tiny.narrow(monkeypatch)
    recipe = tiny.experiment()
    values = checkpoints.read(tiny.make_weights_file())
    return Frozen(recipe.network, recipe.data.sizes, recipe.data.packing, values, machine(recipe))


def none(_places: Sequence[int]) -> AbstractContextManager[Packed]:
    raise AssertionError


def images(labels: Sequence[int] = (0, 1)) -> bank.Images:
    return bank.Images(["0" * 64, "1" * 64], np.array(labels), np.arange(2), none)


def test_estimates_are_kept_for_these_labels(frozen: Frozen) -> None:
    assert bank.key(frozen, images()) == bank.key(frozen, images())
    assert bank.key(frozen, images()) != bank.key(frozen, images((1, 0)))


def test_an_edit_of_the_code_of_intervals_makes_estimates_anew(
    frozen: Frozen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, edited = bank.key(frozen, images()), tmp_path / "statistics.py"
    edited.write_bytes(Path(statistics.__file__).read_bytes() + b"# edited\n")
    monkeypatch.setattr(statistics, "__file__", str(edited))
    assert bank.key(frozen, images()) != before


@pytest.mark.parametrize(("what", "value"), [("versions", {"torch": "9.9"}), ("code_hash", "0" * 64)])
def test_other_code_of_the_bank_or_another_package_makes_estimates_anew(
    what: str, value: Any, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bank.key(frozen, images())
    monkeypatch.setattr(provenance, what, lambda: value)
    assert bank.key(frozen, images()) != before


def test_the_code_of_the_bank_is_part_of_the_code_hash(frozen: Frozen) -> None:
    sources = set(provenance.sources(("split", "train", "evaluate")))
    assert {Path(f"pipeline/bank/{name}.py") for name in ("folds", "nested", "probes")} <= sources
