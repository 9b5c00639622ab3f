"""`orbweaver bank`: what frozen networks give, from the training part alone."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner, Result

from pipeline.advice.backbones import Frozen
from pipeline.bank import folds, probes
from pipeline.bank.bank import Result as Measured
from pipeline.commands import bank as command
from pipeline.commands import frozen_bank, orbweaver
from pipeline.commands.frozen_bank import Budget
from pipeline.core.errors import InputError
from pipeline.datasets.decoding import parallel
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.preview.training_part import TrainingPart

FEW = {"logistic": (0.01, 1.0), "neighbors": (1, 5), "mean": ()}


def bank(*words: str) -> Result:
    return CliRunner().invoke(orbweaver, ["bank", *words])


def told(*words: str) -> dict[str, Any]:
    done = bank(*words, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def photographs(folder: Path, part: str, each: int, first: int = 0) -> None:
    for kind, label in enumerate("abc"):
        for number in range(first, first + each):
            file = folder / part / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            spider_image(kind, number, size=tiny.SIDE, seed=0).save(file)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words for a folder with parts of its own, in a tiny project."""
    tiny.enter(tmp_path / "project", monkeypatch)
    tiny.narrow(monkeypatch)
    tiny.search_once(monkeypatch)
    # Few fits, in this process.
    rows = {name: replace(row, strengths=FEW[name]) for name, row in probes.PROBES.items()}
    monkeypatch.setattr(probes, "PROBES", rows)
    monkeypatch.setattr(folds, "MOST", 3)
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    # Where no download is.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    tiny.put(tiny.narrow_values())
    photographs(tmp_path / "spiders", "train", 5)
    photographs(tmp_path / "spiders", "test", 2, first=5)
    return ["-S", "data=folder", "-S", f"folder={tmp_path / 'spiders'}", "--backbones", "resnet18"]


def test_the_second_call_is_found_and_other_labels_of_test_images_change_nothing(
    words: list[str], tmp_path: Path
) -> None:
    first, second = told(*words), told(*words)
    (row,), (found,) = first["backbones"], second["backbones"]
    assert (row["found"], row["computed"], row["images"]) == (False, 15, 15)
    assert row | {"found": True, "computed": 0} == found
    assert set(row["probes"]) == {"logistic", "neighbors", "mean"}
    assert "Nothing was computed anew for resnet18" in bank(*words).output
    ranked = first_of_advice(words)
    test = tmp_path / "spiders/test"
    for old, new in (("a", "x"), ("b", "a"), ("c", "b"), ("x", "c")):
        (test / old).rename(test / new)
    assert told(*words) == second
    assert first_of_advice(words) == ranked


def first_of_advice(words: list[str]) -> list[Frozen]:
    """What an advice chooses backbones by, before it trains any."""
    given = [word for word in words[:-2] if word != "-S"]
    return frozen_bank.compared(frozen_bank.asked(words[-1], given).values(), given, Budget(lambda _: None))[0]


def test_a_slow_machine_has_a_speed() -> None:
    estimate = {"mean": 0.5, "low": None, "high": None, "parts": [0.5]}
    slow = Measured("vgg16", "ImageNet", 9, 8, 9, 0.0431, 209.0, 1.0, False, dict.fromkeys(probes.PROBES, estimate))
    part = TrainingPart([], Path(), np.zeros(0, np.int64), "spiders", 1)
    assert re.search(r"209\.0 +0\.0431 +1\.0", command.as_text([slow], part))


def test_the_price_is_said_before_it_is_paid_and_is_nothing_for_what_is_kept(words: list[str]) -> None:
    given = [word for word in words[:-2] if word != "-S"]
    asked = frozen_bank.asked(words[-1], given).values()
    said: list[str] = []
    frozen, seconds = frozen_bank.compared(asked, given, Budget(said.extend, only_price=True))
    assert not frozen
    assert seconds > 0
    with pytest.raises(
        InputError, match=r"^--hours: ranking frozen backbones takes about .*; give more hours, or fewer"
    ):
        frozen_bank.compared(asked, given, Budget(said.extend, limit=1e-6))
    said.pop()
    assert re.fullmatch(r"frozen backbones first, about [\d.]+\ss: resnet18 [\d.]+\ss", said.pop())
    frozen, _ = frozen_bank.compared(asked, given, Budget(said.extend))
    assert len(frozen) == 1
    # What costs nothing is there for whoever asks for the price alone.
    assert frozen_bank.compared(asked, given, Budget(said.extend, only_price=True)) == (frozen, 0.0)
    assert said[0].startswith("frozen backbones first, about ")
    assert said[0] != said[1] == "frozen backbones first, about 0.0\N{NO-BREAK SPACE}s: resnet18 kept"


def test_a_backbone_without_weights_is_refused_by_name_and_else_left_out(words: list[str]) -> None:
    refused = bank(*words[:-1], "resnet18,vgg16")
    assert isinstance(refused.exception, InputError)
    assert "vgg16: its imagenet weights are not on this machine" in str(refused.exception)
    unknown = bank(*words[:-1], "resnet19")
    assert "--backbones: 'resnet19' is not known; known: resnet18" in str(unknown.exception)
    missing = bank(*words[:-1], "resnet50=/nowhere.safetensors")
    assert "--backbones: resnet50: /nowhere.safetensors: no such file" in str(missing.exception)


def test_a_backbone_has_a_file_of_its_own(words: list[str], tmp_path: Path) -> None:
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(tiny.make_weights_file().read_bytes())
    (row,) = told(*words[:-1], f"resnet18={weights}")["backbones"]
    assert (row["backbone"], row["weights"]) == ("resnet18", "file own.safetensors")
    other = bank(*words[:-1], f"resnet50={weights}")
    assert "not the values of this backbone" in str(other.exception)
