"""README.md's picture: the top of the report's page, light and dark. `make picture` runs it."""

import io
from pathlib import Path

from browser import CHROMIUM, QUIET, SIZES
from PIL import Image
from playwright.sync_api import sync_playwright

PAGE = Path("metrics/report/index.html")
PICTURES = {"light": Path("docs/report.png"), "dark": Path("docs/report-dark.png")}

if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        for colors, file in PICTURES.items():
            page = browser.new_page(viewport={"width": SIZES["wide"], "height": 768}, color_scheme=colors)
            page.goto(PAGE.resolve().as_uri())
            with Image.open(io.BytesIO(page.screenshot())) as image:
                image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(file, optimize=True)
