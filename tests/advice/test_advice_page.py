"""What the page of an advice and its Markdown have of image sizes."""

from typing import Any

import pytest

from pipeline.advice import page
from pipeline.reporting.tables import Table

EMPTY = Table(("repeat",), [], numbers_from=1)


def content(**values: Any) -> dict[str, Any]:
    words = dict.fromkeys(
        ("title", "images", "sentence", "command", "alternative", "elsewhere", "tests", "optimism", "curve", "again"),
        "",
    )
    tables = dict.fromkeys(("tried", "tested", "points"), EMPTY)
    absent = {
        "next_step": "",
        "best_command": "",
        "fractions": "",
        "over": "",
        "next": page.NEXT,
        "probe": "",
        "trained_on": "",
        "opened": "",
        "others": "",
        "sizes": None,
        "size": "",
        "caption": "",
        "backbones": None,
        "separating": [],
    }
    return words | tables | absent | values


SIZES = {
    "sizes": Table(("image size", "verdict"), [("96", "left out"), ("224", "taken")], numbers_from=2),
    "size": "image size 224 is taken",
    "caption": "of frozen features",
}


def test_a_command_in_a_sentence_is_set_as_code_and_backticks_of_names_are_text() -> None:
    values = content(next_step="Next step: add `--sizes 96,160` for `<i>`.", images="of `x`")
    text = page.page(values)
    assert "<p>Next step: add <code>--sizes 96,160</code> for `&lt;i&gt;`.</p>" in text
    assert "Images: of `x`." in text
    assert r"add `--sizes 96,160` for \`\<i\>\`." in page.as_markdown(values)


@pytest.mark.parametrize("write", [page.page, page.as_markdown])
def test_sizes_that_were_ranked_and_those_that_were_not_are_on_the_page(write: Any) -> None:
    ranked = write(content(**SIZES))
    for words in ("Image sizes", "left out", "image size 224 is taken"):
        assert words in ranked
    assert "Next step: add" in write(content(next_step="Next step: add"))
    assert "Image sizes" not in write(content())
