"""The page in a real browser, as a reader has it."""

from itertools import pairwise

import pytest
import written_results
from browser import NEEDED, SIZES, VIEWS, barriers, chromium, new_page

from pipeline.datasets.synthetic.synthetic import SPIDERS

__all__ = ["chromium"]

pytestmark = [NEEDED, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(shared):
    """The address of the page of three repeats."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            written_results.report_of(folder, patch)

    return (shared("report", make) / "metrics/report/index.html").as_uri()


@pytest.fixture(scope="module", params=VIEWS, ids=str)
def opened(chromium, address, request):
    """The page at one size and in one scheme of colors, with what it said and asked for."""
    with new_page(chromium, *request.param) as page:
        page.goto(address)
        yield page


def test_the_browser_has_nothing_to_complain_of(opened):
    assert opened.told == []


def test_no_request_leaves_the_page(opened, address):
    assert address in opened.asked
    assert [url[:80] for url in opened.asked if url != address and not url.startswith("data:")] == []


def test_every_image_is_drawn_and_described(opened):
    images = opened.evaluate("[...document.images].map(i => [i.alt.trim().length, i.naturalWidth])")
    assert len(images) > 20
    assert all(letters > 10 and width > 0 for letters, width in images)


def test_the_page_is_never_wider_than_the_screen(opened):
    wide, screen = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= screen


# The names of tables that are wider than their boxes.
SCROLLED = "[...document.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth).map(s => s.ariaLabel)"


def test_on_a_wide_screen_every_table_fits_its_box(opened):
    assert opened.viewport_size["width"] < SIZES["wide"] or opened.evaluate(SCROLLED) == []


def test_on_a_wide_screen_classes_with_the_longest_name_of_a_drawn_spider_fit_too(chromium, address):
    page = chromium.new_page(viewport={"width": SIZES["wide"], "height": 900})
    page.goto(address)
    renamed = """
        ([names, name]) => [...document.querySelectorAll("#confusion :is(td, th), #classes :is(td, th)")]
                           .filter(cell => names.includes(cell.textContent)).map(cell => cell.textContent = name)
    """
    assert len(page.evaluate(renamed, [written_results.CLASSES, max(SPIDERS, key=len)])) > len(written_results.CLASSES)
    assert page.evaluate(SCROLLED) == []
    page.close()


# A name of a class as long as people give them, in a word and in many.
LONGEST = "Araneus_diadematus_Clerck_1757_juvenile_female_from_the_north of the Trichonephila clavata group"
RENAMED = """
    ([names, name]) => [...document.querySelectorAll("tbody bdi")]
                       .filter(one => names.includes(one.textContent)).map(one => one.textContent = name)
"""


def test_on_paper_and_on_a_phone_long_names_of_classes_leave_room_for_their_numbers(chromium, address):
    page = chromium.new_page(viewport={"width": SIZES["wide"], "height": 900})
    page.goto(address)
    assert page.evaluate(RENAMED, [written_results.CLASSES, LONGEST])
    # A4 without its margins, at 96 pixels an inch.
    page.set_viewport_size({"width": 718, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.evaluate(SCROLLED) == []
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 360, "height": 800})
    widths = "[...document.querySelectorAll('#classes tbody th')].map(cell => cell.clientWidth)"
    assert all(100 < width <= 200 for width in page.evaluate(widths))
    page.close()


def test_no_picture_reaches_beyond_its_box(opened):
    beyond = """
        [...document.images].filter(i => !i.closest(".wide") && i.getBoundingClientRect().right > innerWidth)
                            .map(i => i.alt)
    """
    assert opened.evaluate(beyond) == []


def test_headings_go_down_one_step_at_a_time(opened):
    levels = opened.evaluate("[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_every_chart_has_a_caption(opened):
    assert opened.evaluate("[...document.querySelectorAll('figure')].filter(f => !f.querySelector('figcaption'))") == []


def test_text_stands_out_from_what_is_behind_it(opened):
    """By WCAG's ratio: 4.5 for text of usual size."""
    lacking = """
        () => {
          const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
          const light = rgb => rgb.map(channel).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const parts = text => text.match(/[\\d.]+/g).map(Number);
          const behind = e => { for (; e; e = e.parentElement) {
            const found = parts(getComputedStyle(e).backgroundColor);
            if (found.length === 3 || found[3] > 0) return found.slice(0, 3);
          } };
          return [...document.querySelectorAll("body *")]
            .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
            .filter(e => {
              const [a, b] = [parts(getComputedStyle(e).color).slice(0, 3), behind(e)].map(light);
              return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
            }).map(e => e.outerHTML.slice(0, 100));
        }
    """
    assert opened.evaluate(lacking) == []


def test_the_page_can_be_printed(chromium, address):
    page = chromium.new_page()
    page.goto(address)
    printed = page.pdf(format="A4")
    page.close()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_nothing_on_the_page_keeps_a_reader_out(opened):
    assert barriers(opened) == []


def test_what_keeps_a_reader_out_is_found(chromium):
    page = chromium.new_page()
    page.set_content("<html><body><img src='data:,'><p style='color: #ccc'>faint</p></body></html>")
    found = {name for name, *_ in barriers(page)}
    page.close()
    assert {"image-alt", "color-contrast"} <= found
