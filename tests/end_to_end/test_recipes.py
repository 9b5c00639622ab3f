"""Recipes and choices that contradict each other, refused by DVC's run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["freeze=3b", "paper=animals"], "freeze: '3b' and papers.animals.train.phases both say what is frozen; leave"),
        (["attention=cbam", "backbone=vit_b_16"], r"attention: .*'cbam'.*; "),
    ],
)
def test_choices_that_contradict_each_other_are_refused_before_anything_is_lost(
    clone: Any, overrides: list[str], message: str, stages_ran: Callable[[str], list[str]]
) -> None:
    before = clone.outputs()
    content = {file: file.read_bytes() for path in before for file in files(clone.root / path)}
    told = clone.run("dvc", "exp", "run", *(word for override in overrides for word in ("-S", override)), code=255)
    (line,) = [line for line in told.splitlines() if line.startswith("validate: error: ")]
    assert re.search(message, line)
    assert "Traceback" not in told
    assert stages_ran(told) == ["validate"]
    kept = {file for file in content if "data/validated.txt" not in str(file)}
    assert kept
    assert all(file.read_bytes() == content[file] for file in kept)
    clone.run("git", "checkout", "--", "params.yaml")
    clone.run("dvc", "checkout")
    assert clone.outputs() == before


def files(path: Path) -> list[Path]:
    return [file for file in [path, *path.rglob("*")] if file.is_file()]
