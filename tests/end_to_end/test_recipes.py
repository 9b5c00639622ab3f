"""Every recipe of params.yaml from images to a report, cut as README.md cuts it for a first look."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from click.testing import CliRunner

from pipeline import params
from pipeline.commands import orbweaver
from pipeline.datasets.transforms import AUGMENTATIONS
from pipeline.errors import InputError
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones import BACKBONES
from pipeline.networks.build import Plan, build
from pipeline.networks.heads import HEADS, STOCK
from pipeline.networks.insertion import PLACES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAPERS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["papers"]


def commands() -> dict[str, list[str]]:
    """The README's commands that cut a recipe down, by paper, in words as a shell would pass them on."""
    text = README.partition("## Try a recipe")[2].partition("\n## ")[0].replace("\\\n", " ")
    lines = [shlex.split(line) for line in re.findall(r"^    (dvc exp run .*)$", text, re.MULTILINE)]
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


def table(title: str) -> dict[str, list[str]]:
    """The README's table whose first column has this title: the other cells by each name in the first."""
    (body,) = re.findall(rf"^\| `{title}` \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body.splitlines()]
    return {name: rest for first, *rest in lines for name in re.findall(r"`(\w+)`", first)}


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("paper", set(PAPERS)),
        ("weights", set(get_args(params.Weights))),
        ("freeze", set(get_args(params.Strategy))),
        ("backbone", set(BACKBONES)),
        ("attention", set(ATTENTIONS)),
        ("head", {*HEADS, STOCK}),
        ("data.augmentation", set(AUGMENTATIONS)),
    ],
)
def test_the_readmes_tables_name_what_there_is(title: str, known: set[str]) -> None:
    assert set(table(title)) == known


def test_the_readme_gives_the_place_of_each_mechanism() -> None:
    given = {name: cells[0].strip("`") for name, cells in table("attention").items()}
    assert given == {name: row.place for name, row in ATTENTIONS.items()}
    for name, section in PAPERS.items():
        options = section["network"]["attention_options"]
        assert given == {mechanism: chosen["place"] for mechanism, chosen in options.items()}, name


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_the_readme_gives_the_places_of_each_backbone(backbone: str) -> None:
    given = set(re.findall(r"`(\w+)`", table("backbone")[backbone][0]))
    assert given == {place for place in PLACES if takes(backbone, place)}


def takes(backbone: str, place: str) -> bool:
    plan = Plan(backbone, "linear", 2, 64, head_options={"dropout": 0.0}, attention="se", place=place)
    try:
        with torch.device("meta"):
            build(plan, pretrained=None)
    except InputError:
        return False
    return True


def test_the_readme_says_which_backbones_have_weights_of_places365() -> None:
    given = set(re.findall(r"`(\w+)`", table("weights")["places365"][0]))
    assert given == {name for name, row in BACKBONES.items() if row.places365}


def test_what_the_readme_describes_can_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = re.findall(r"^    orbweaver (describe .*)$", README.replace("\\\n", " "), re.MULTILINE)
    assert len(lines) > 2
    for line in lines:
        result = CliRunner().invoke(orbweaver, shlex.split(line))
        assert result.exit_code == 0, (line, result.exception)
