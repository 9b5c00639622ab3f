"""Fills what follows from the code in the tables of README.md and docs/; `make tables` runs it.

The comment in front of a table names the columns that are filled; all else in it is written by hand.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch

from pipeline import params
from pipeline.datasets.sets import SETS
from pipeline.networks import freezing
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.build import NO_ATTENTION, Plan, build
from pipeline.networks.insertion import PLACES, shapes
from pipeline.networks.network import Network
from pipeline.params import Paper
from pipeline.stages import assembly

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/choices.md", "docs/data.md")
TABLE = re.compile(r"(<!-- make tables fills: ([^-]+) -->\n)((?:\|.*\n)+)")
# As ECSM has spiders.
CLASSES = 9


@cache
def _papers() -> dict[str, Paper]:
    return params.load(ROOT / "params.yaml").papers


@cache
def _ecsm() -> Network:
    paper = _papers()["ecsm"]
    with torch.device("meta"):
        plan = assembly.plan(paper.network, classes=CLASSES, image_size=paper.data.sizes().input)
        return build(plan, pretrained=None)


def _count(strategy: str, which: str) -> str:
    """How many numbers of ecsm's network train or do not; phases each have counts of their own."""
    if strategy not in freezing.STRATEGIES:
        return ""
    freezing.freeze(_ecsm(), strategy)
    return f"{freezing.count(_ecsm())[which]:,}"


def _places(backbone: str) -> str:
    """The places that this backbone has for attention, which needs feature maps."""
    with torch.device("meta"):
        network = build(Plan(backbone, "linear", 2, 64, head_options={"dropout": 0.0}), pretrained=None)
    found = shapes(network, 64)
    sites = {place: [len(site.shape) for site in of(network, found)] for place, of in PLACES.items()}
    return ", ".join(f"`{place}`" for place, axes in sites.items() if set(axes) == {3}) or "nowhere"


def _network(name: str) -> str:
    """A recipe's network, and what of it trains."""
    paper = _papers()[name]
    network, phases = paper.network, len(paper.train.phases)
    trains = {"2": "everything trains", params.PHASES: f"{phases} phases"}
    special = [word for word in (network.attention, network.head) if word not in (NO_ATTENTION, "linear")]
    told = [f"`{network.backbone}`", trains.get(network.freeze, f"strategy {network.freeze}")]
    return ", ".join([*told, *(f"`{word}`" for word in special)])


# By the headings of the first column and of the one that is filled: what stands there for a name; None leaves it.
CELLS: dict[tuple[str, str], Callable[[str], str | None]] = {
    ("recipe", "network"): _network,
    ("data", "its own split"): lambda name: ("yes" if SETS[name].official else "no") if name in SETS else None,
    ("freeze", "trained"): lambda name: _count(name, "trainable"),
    ("freeze", "frozen"): lambda name: _count(name, "frozen"),
    ("backbone", "attention goes"): _places,
    ("attention", "position"): lambda name: f"`{ATTENTIONS[name].place}`" if name in ATTENTIONS else "",
}


def names(cell: str) -> list[str]:
    """The names in a first cell.

    >>> names("`resnet18`, `resnet34`")
    ['resnet18', 'resnet34']
    """
    return re.findall(r"`([\w.]+)`", cell)


def rows(table: str) -> list[list[str]]:
    """The cells of a table's lines, with its headings and the line below them."""
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines()]


def filled(text: str) -> str:
    """Fill the tables of a page.

    Raises:
        ValueError: where the names of one row have different values.
    """
    return TABLE.sub(lambda found: found[1] + _fill(rows(found[3]), found[2].split(", ")), text)


def _fill(table: Sequence[list[str]], columns: Sequence[str]) -> str:
    headings, _, *body = table
    (first,) = names(headings[0])
    for row in body:
        for column in columns:
            values = {CELLS[first, column](name) for name in names(row[0])}
            if len(values) > 1:
                raise ValueError(f"{row[0]} differ in {column!r}: {values}; give them rows of their own")
            row[headings.index(column)] = values.pop() or row[headings.index(column)]
    return "".join("".join(f"| {cell} " if cell else "| " for cell in row) + "|\n" for row in table)


if __name__ == "__main__":
    for page in PAGES:
        file = ROOT / page
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
