import sys

import pytest

from pipeline.reporting.tables import Table
from pipeline.reporting.text_tables import fitted, wrapped

PAIRS = Table(("pair", "verdict", "difference (points)"), [("a - b", "a is better", "3.2"), ("a - c", "", "0.1")], 2)


@pytest.fixture
def terminal(monkeypatch):
    """Standard output and error as a terminal of 30 columns."""
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")


def test_a_table_wider_than_the_terminal_is_a_block_a_row(terminal):
    assert fitted(PAIRS) == (
        "pair: a - b\n  verdict: a is better\n  difference (points): 3.2\n\npair: a - c\n  difference (points): 0.1"
    )


def test_a_table_that_the_terminal_holds_is_in_columns(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "39")
    assert fitted(PAIRS).splitlines()[1] == "a - b  a is better                  3.2"


def test_what_is_no_terminal_has_columns_and_sentences_of_any_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert len(fitted(PAIRS).splitlines()) == 3
    assert wrapped("word " * 20 + "end", indent="  ") == "  " + "word " * 20 + "end"


@pytest.mark.parametrize("err", [False, True])
def test_a_sentence_breaks_at_spaces_alone_and_in_no_command(terminal, err):
    text = "two-blocks is the best; `orbweaver compare last-block two-blocks` says why, " + "x" * 40
    lines = wrapped(text, indent="  ", err=err).splitlines()
    assert lines[1] == "    `orbweaver compare last-block two-blocks`"
    assert [line[:4] for line in lines] == ["  tw", *["    "] * (len(lines) - 1)]
    assert " ".join(line.strip() for line in lines) == text
