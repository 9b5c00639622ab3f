"""What README.md shows and promises: its tables."""

import re
import runpy
from typing import get_args

import pytest
import readme

from pipeline import params
from pipeline.networks.backbones import BACKBONES

PAPERS = params.load(readme.ROOT / "params.yaml").papers
CHOICES = {
    "paper": set(PAPERS),
    "weights": set(get_args(params.Weights)),
    "data": set(get_args(params.DataSet)),
    "freeze": set(get_args(params.Strategy)),
    "backbone": set(get_args(params.Backbone)),
    "attention": set(get_args(params.Attention)),
    "regularizer": set(get_args(params.RegularizerName)),
    "head": set(get_args(params.Network.model_fields["head"].annotation)),
    "data.augmentation": set(get_args(params.Data.model_fields["augmentation"].annotation)),
}


@pytest.mark.parametrize("title", CHOICES)
def test_a_table_names_exactly_what_may_be_chosen(title: str) -> None:
    assert set(readme.table(title)) == CHOICES[title]


def test_no_table_of_choices_is_left_out() -> None:
    assert set(re.findall(r"^\| `([\w.]+)` \|.*\n\|[-:| ]+\|$", readme.TEXT, re.MULTILINE)) == CHOICES.keys()


def test_the_tables_are_as_the_code_fills_them() -> None:
    tables = runpy.run_path(str(readme.ROOT / "docs/tables.py"))
    assert len(tables["TABLE"].findall(readme.TEXT)) == len({first for first, _ in tables["CELLS"]})
    stale = re.sub(r"\d,\d{3},\d{3}|`(tail|in_blocks|after_stages)`(?= \|)", "?", readme.TEXT)
    assert stale != readme.TEXT
    assert tables["filled"](stale) == readme.TEXT, "`make tables` fills them anew"


def test_each_mechanism_is_placed_in_every_recipe_as_the_table_says() -> None:
    given = {name: cells["place"].strip("`") for name, cells in readme.table("attention").items() if name != "none"}
    for name, paper in PAPERS.items():
        options = paper.network.attention_options.model_dump()
        assert given == {mechanism: chosen["place"] for mechanism, chosen in options.items()}, name


def test_the_backbones_with_weights_of_places365_are_named() -> None:
    given = set(re.findall(r"`(\w+)`", " ".join(readme.table("weights")["places365"].values())))
    assert given == {name for name, row in BACKBONES.items() if row.places365}
