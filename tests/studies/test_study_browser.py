"""A study's page in a real browser."""

import pytest
import test_study_page
from browser import NEEDED, SIZES, barriers, chromium

from pipeline.studies import page

__all__ = ["chromium"]

pytestmark = [NEEDED, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    told = page.content("mine", test_study_page.STUDY, test_study_page.FOUND, commands=test_study_page.AGAIN)
    file = tmp_path_factory.mktemp("study") / "index.html"
    file.write_text(page.page(told), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize(("size", "colors"), [("wide", "light"), ("phone", "dark")])
def test_nothing_keeps_a_reader_out_or_is_wider_than_the_screen(chromium, address, size, colors):
    opened = chromium.new_page(viewport={"width": SIZES[size], "height": 900}, color_scheme=colors)
    opened.goto(address)
    wide, screen = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    found = barriers(opened)
    opened.close()
    assert wide <= screen
    assert found == []
