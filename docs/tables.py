"""Write what follows from the code: docs/choices.md, and columns of tables of README.md and docs/; `make tables`.

The comment in front of a table names the columns that are filled; all else in it is written by hand.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pipeline import config
from pipeline.assembly import networks
from pipeline.config import choices
from pipeline.core.choices import NONE, Choice
from pipeline.core.files import flat
from pipeline.core.recipe import Recipe
from pipeline.core.sections import PHASES
from pipeline.datasets.collect.sets import SETS
from pipeline.evaluation.scores import SCORES
from pipeline.networks import freezing
from pipeline.networks.attention.table import ATTENTIONS, POSITIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.build import Plan, build
from pipeline.networks.insertion import shapes
from pipeline.networks.network import Network
from pipeline.networks.strategies import EVERYTHING, HEAD, LP_FT, PROBE, STRATEGIES, WHOLE, part_of

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/data.md", "docs/report.md")
CHOICES = ROOT / "docs/choices.md"
TABLE = re.compile(r"(<!-- make tables fills: ([^-]+) -->\n)((?:\|.*\n)+)")
# As ECSM has spiders.
CLASSES = 9
TOP = """# Choices

All values that each key of params.yaml can take, as `orbweaver describe --choices` prints them. The options of a choice
are under `options` in params.yaml; their values are shown here. To change one: `-S options.attention.se.reduction=8`.

<!-- Written by make tables from the code; edit the rows there. -->
"""
# What else a table says of a key's choices.
NOTES = {
    "freeze": "The numbers of parameters are those of the network of `ecsm` with nine classes. Its attention always "
    "trains, and the statistics of batch norms count as frozen. [Training](training.md#strategies) explains what a "
    "block is.",
    "backbone": "Attention needs feature maps. `residual_block` needs residual blocks.",
}
# Headings of further columns, by key.
COLUMNS: dict[str, dict[str, Callable[[str], str]]] = {
    "freeze": {
        "trained": lambda name: _count(name, "trainable"),
        "frozen": lambda name: _count(name, "frozen"),
    },
    "backbone": {
        "attention positions": lambda name: _positions(name),
        "weights": lambda name: ", ".join(f"`{weights}`" for weights in BACKBONES[name].published()),
    },
    "attention": {"position": lambda name: f"`{ATTENTIONS[name].position}`" if ATTENTIONS[name].position else ""},
}


@cache
def _values() -> dict[str, Any]:
    values: dict[str, Any] = config.read(ROOT / "params.yaml")
    return values


@cache
def _recipe(name: str) -> Recipe:
    return config.resolve(config.check(_values() | {"recipe": name})).recipe


@cache
def _ecsm() -> Network:
    return networks.structure(_recipe("ecsm"), classes=CLASSES)


def _count(strategy: str, which: str) -> str:
    """Return how many parameters of ecsm's network train or do not.

    Phases each have counts of their own, and strategies for transformers have none, as it is a ResNet.
    """
    if strategy == PHASES or part_of(strategy) != WHOLE:
        return ""
    freezing.freeze(_ecsm(), strategy if strategy in STRATEGIES else {PROBE: HEAD}.get(strategy, EVERYTHING))
    return f"{freezing.count(_ecsm())[which]:,}"


def _positions(backbone: str) -> str:
    """Return the positions that this backbone has for attention, which needs feature maps."""
    with torch.device("meta"):
        network = build(Plan(backbone, "linear", 2, 64, head_options={"dropout": 0.0}), pretrained=None)
    sides = shapes(network, 64)
    sites = {name: [len(site.shape) for site in row.sites(network, sides)] for name, row in POSITIONS.items()}
    return ", ".join(f"`{name}`" for name, axes in sites.items() if set(axes) == {3}) or "none"


def choices_page() -> str:
    """Return docs/choices.md."""
    axes = {setting: axis for axis, setting in choices.AXES.items()}
    families = {setting: family for family, setting in choices.FAMILIES.items()}
    blocks = [
        _block(axes.get(setting, setting), families.get(setting, ""), table)
        for setting, table in choices.TABLES.items()
    ]
    return "\n".join([TOP, *blocks])


def _block(key: str, family: str, table: Any) -> str:
    columns = COLUMNS.get(key, {})
    headings = [f"`{key}`", "what it is", *(["options"] if family else []), *columns]
    lines = [_line(headings), _line(["---"] * len(headings))]
    for name, row in table.items():
        options = [_options(family, name, row)] if family else []
        cells = [f"`{name}`", f"{row.title}: {row.description}" if row.title[0].isupper() else row.description]
        lines.append(_line([*cells, *options, *(fill(name) for fill in columns.values())]))
    note = f"\n{NOTES[key]}\n" if key in NOTES else ""
    return f"## `{key}`\n\n" + "\n".join(lines) + f"\n{note}"


def _options(family: str, name: str, row: Choice) -> str:
    if not row.options:
        return ""
    return ", ".join(f"`{key}: {value}`" for key, value in flat(_values()["options"][family][name]))


def _line(cells: Sequence[str]) -> str:
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"


def _network(name: str) -> str:
    """Return a recipe's network, and what of it trains."""
    network, phases = _recipe(name).network, len(_recipe(name).train.phases)
    trains = {
        EVERYTHING: "everything trains",
        LP_FT: "the head solved, then everything trains",
        PROBE: "the head solved, nothing trains",
        PHASES: f"{phases} phases",
    }
    special = [word for word in (network.attention, network.head) if word not in (NONE, "linear")]
    words = [f"`{network.backbone}`", trains.get(network.freeze, f"strategy {network.freeze}")]
    return ", ".join([*words, *(f"`{word}`" for word in special)])


def _own_split(name: str) -> str | None:
    """Return whether a published set has parts of its own; of the user's photographs the table says more."""
    if SETS[name].given_by == "folder" and not SETS[name].is_published:
        return None
    return "yes" if SETS[name].official else "no"


# By the headings of the first column and of the one that is filled: what stands there for a name; None leaves it.
CELLS: dict[tuple[str, str], Callable[[str], str | None]] = {
    ("recipe", "network"): _network,
    ("data", "its own split"): _own_split,
    ("score", "what it is"): lambda name: SCORES[name].in_words,
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
    return "".join(f"{_line(row)}\n" for row in table)


if __name__ == "__main__":
    CHOICES.write_text(choices_page(), encoding="utf-8")
    for page in PAGES:
        file = ROOT / page
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
