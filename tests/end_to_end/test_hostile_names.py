"""Names of classes, files and a study that look like markup, formulas or quotes: they are text everywhere."""

import csv
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import clones
import numpy as np
import pytest
from clones import Clone
from PIL import Image

pytestmark = pytest.mark.slow
# None is part of what the pages have by themselves.
MARK = "alert(7)"
CLASSES = (f'<img src=x onerror="{MARK}">', f"a & b; '{MARK}' \"c\"", f"=HYPERLINK({MARK})|[d](javascript:{MARK})")
FILES = (f"<b onclick={MARK}>&amp;.png", f'"{MARK}",;\u2019.png', f"{{{{ {MARK} }}}} ${{lr}}.png", "-rf *.png")
TITLE = f"<style onload={MARK}>Mine & yours"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text; character references are resolved."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.ids: set[str] = set()
        self._open: list[str] = []
        self.within: dict[str, str] = {"script": "", "style": ""}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.ids |= {value for name, value in attrs if name == "id" and value}
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] in self.within:
            self.within[self._open[-1]] += data


def check(file: Path) -> Page:
    """Check that nothing of a page that a browser would run or style by is from a name."""
    page = Page(file.read_text(encoding="utf-8"))
    assert not [text for text in page.within.values() if MARK in text]
    for tag, attributes in page.elements:
        assert MARK not in tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, attributes)
            assert MARK not in name, (tag, attributes)
            assert not (value or "").lower().startswith("javascript:"), (tag, attributes)
            assert name not in ("id", "class", "style", "href", "src") or MARK not in (value or ""), (tag, attributes)
            assert name != "href" or not (value or "").startswith("#") or value[1:] in page.ids, value
    return page


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which a run and a study have ended, on a folder of such names."""
    home = tmp_path_factory.mktemp("home")
    (home / "clone").mkdir()
    clone = clones.make_clone(home / "clone", home)
    seeds = np.random.default_rng(0)
    for label in CLASSES:
        for name in FILES:
            (home / "own" / label).mkdir(parents=True, exist_ok=True)
            pixels = seeds.integers(0, 256, (48, 48, 3), np.uint8)
            Image.fromarray(pixels).save(home / "own" / label / name)
    clone.params(data="folder", folder=str(home / "own"))
    (clone.root / "mine.yaml").write_text(
        f"title: '{TITLE}'\nset: {{repeats: [1]}}\ncells:\n  head: {{set: {{lr: 0.001}}}}\n", encoding="utf-8"
    )
    clone.commit()
    clone.run("dvc", "repro")
    clone.run("orbweaver", "study", "run", "mine.yaml")
    clone.run("orbweaver", "study", "report", "mine.yaml")
    return clone


def test_the_reports_page_has_such_names_as_text_alone(named: Clone) -> None:
    page = check(named.root / "metrics/report/index.html")
    for label in CLASSES:
        assert label in page.text


def test_a_studys_page_has_its_title_as_text_alone(named: Clone) -> None:
    page = check(named.root / "metrics/studies/mine/index.html")
    assert TITLE in page.text


def test_pictures_hold_no_markup_of_a_name(named: Clone) -> None:
    pictures = [*named.root.glob("metrics/report/**/*.svg"), *named.root.glob("metrics/studies/**/*.svg")]
    assert pictures
    for file in pictures:
        check(file)


def test_tables_give_the_names_back(named: Clone) -> None:
    for name in ("metrics/report/predictions.csv", "data/collected/manifest.csv", "data/packed/index.csv"):
        with (named.root / name).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert rows
        for row in rows:
            # What a spreadsheet would take for a formula has an apostrophe in front.
            assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())
            label, path = (cell.removeprefix("'") for cell in (row.get("label") or row["actual"], row["path"]))
            assert label in CLASSES
            assert path in {f"{label}/{file}" for file in FILES}


def test_mlflow_shows_the_runs_with_scores_of_every_class(named: Clone) -> None:
    with closing(sqlite3.connect(named.root / "mlflow.db")) as database:
        states = database.execute("SELECT DISTINCT status FROM runs").fetchall()
        metrics = {name for (name,) in database.execute("SELECT DISTINCT key FROM metrics").fetchall()}
    assert states == [("FINISHED",)]
    # One of each class, whatever form a name has there.
    recalls = {name for name in metrics if "recall" in name and not name.startswith(("macro", "mean"))}
    assert len(recalls) >= len(CLASSES), sorted(metrics)
