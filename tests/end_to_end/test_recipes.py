"""Every recipe of params.yaml from images to a report, cut as README.md cuts it for a first look."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import readme
import yaml

from pipeline import params

pytestmark = pytest.mark.slow
PAPERS: dict[str, Any] = yaml.safe_load((readme.ROOT / "params.yaml").read_text(encoding="utf-8"))["papers"]


def commands() -> dict[str, list[str]]:
    """The README's commands that cut a recipe down, by paper, in words as a shell would pass them on."""
    lines = map(shlex.split, readme.commands(readme.section("Try a recipe on the drawn spiders")))
    return {re.findall(r"\bpaper=(\w+)", " ".join(words))[0]: words for words in lines}


COMMANDS = commands()


def test_the_readme_cuts_every_recipe_of_photographs() -> None:
    assert set(COMMANDS) == {name for name, paper in PAPERS.items() if paper["data"]["set"] != "synthetic"}


@pytest.mark.parametrize("paper", sorted(PAPERS))
def test_a_recipe_runs_from_drawn_spiders_to_a_number(paper: str, fresh: Callable[[str], Any]) -> None:
    clone = fresh("project")
    clone.run(*COMMANDS.get(paper, ["dvc", "exp", "run", "-S", f"paper={paper}", "-S", "weights=none"]))
    summary = json.loads((clone.root / "metrics/summary.json").read_text(encoding="utf-8"))
    assert 0 <= summary["accuracy"]["mean"] <= 1
    record = json.loads((clone.root / "metrics/train/1/record.json").read_text(encoding="utf-8"))
    written, recorded = PAPERS[paper], record["recipe"]
    given = dict(word.split("=", 1) for word in COMMANDS.get(paper, []) if "=" in word)
    for name in ("backbone", "freeze", "attention", "head"):
        assert recorded["network"][name] == given.get(name, str(written["network"][name]))
    for name in ("optimizer", "schedule", "batch_norm", "sampler", "class_weights", "lr_factors"):
        assert recorded["train"][name] == written["train"][name]
    assert recorded["regularizer"]["method"] == written["regularizer"]["method"]
    assert recorded["data"]["augmentation"] == written["data"]["augmentation"]
    halves = 2 if written["regularizer"]["method"] in params.HALVES else 1
    phases = [phase["freeze"] for phase in written["train"]["phases"]] or [str(written["network"]["freeze"])] * halves
    assert [phase["freeze"] for phase in record["phases"]] == phases
    assert (clone.root / "metrics/report/index.html").is_file()
