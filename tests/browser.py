"""A real browser for tests of pages: Debian's Chromium, or the one that CHROMIUM names."""

import os
import shutil
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"wide": 1280, "phone": 390}
VIEWS = [(size, colors) for size in SIZES for colors in ("light", "dark")]

NEEDED = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here, so no page is opened; install one, or name it in CHROMIUM"
)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def new_page(chromium, size, colors):
    """A browser's page of one size and scheme of colors, with what it said and asked for."""
    page = chromium.new_page(viewport={"width": SIZES[size], "height": 900}, color_scheme=colors)
    page.told, page.asked = [], []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda asked: page.asked.append(asked.url))
    yield page
    page.close()


def barriers(page):
    """Return what axe-core finds on an open page, by the rules of WCAG 2 and the field's good practice."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["impact"], one["help"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]
