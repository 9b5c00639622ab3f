"""The site of docs/ in a real browser, opened as a file: on a desk and on a phone, light and dark."""

import pytest
import test_docs
from browser import NEEDED, VIEWS, chromium, new_page

__all__ = ["chromium"]

# In the slow ring: pages of docs/ look alike, and change seldom in what these tests see.
pytestmark = [NEEDED, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(shared):
    """The built site."""

    def make(folder):
        done = test_docs.built(folder)
        assert done.returncode == 0, done.stdout + done.stderr

    return shared("site", make) / "build/site"


@pytest.fixture(params=VIEWS, ids=str)
def opened(chromium, request):
    """A browser's page of one size and scheme of colors, with what it said and asked for."""
    with new_page(chromium, *request.param) as page:
        yield page


def test_no_page_complains_asks_elsewhere_or_is_wider_than_the_screen(opened, site):
    # A server shows this one, and under any address.
    pages = sorted(set(site.glob("*.html")) - {site / "404.html"})
    assert len(pages) > 10
    for file in pages:
        opened.goto(file.as_uri())
        wide, screen = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= screen, file.name
    assert opened.told == []
    assert [url for url in opened.asked if not url.startswith((site.as_uri(), "data:"))] == []


def test_the_pages_are_light_or_dark_as_the_reader_has_it(opened, site):
    opened.goto((site / "data.html").as_uri())
    behind = opened.evaluate("getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)")
    dark = opened.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (sum(behind[:3]) < 200) == dark


def test_the_search_works_without_a_server(opened, site):
    opened.goto((site / "index.html").as_uri())
    opened.locator(".md-header [for=__search], .md-search__button").locator("visible=true").first.click()
    opened.keyboard.type("near duplicates")
    opened.get_by_role("option", name="Copies and near duplicates").click()
    opened.wait_for_url("**/data.html*")
    assert opened.url.endswith("#copies-and-near-duplicates")
