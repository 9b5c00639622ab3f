"""The template engine of pages: what a browser may break, and what a reader copies."""

from pathlib import Path

import pytest

from pipeline.reporting import markup


def rendered(template: str, folder: Path, **values: object) -> str:
    (folder / "page.html").write_text(template, encoding="utf-8")
    return markup.environment(folder).get_template("page.html").render(values)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ text }}", "87.5\u00a0% of &lt;them&gt;, a % b"),
        ("{{ text | commands }}", "87.5\u00a0% of &lt;them&gt;, a % b"),
        ("{{ text | verbatim }}", "87.5 % of &lt;them&gt;, a % b"),
        ("{{ command | commands }}", "9\u00a0% by <code>dvc add 5 %</code>"),
        ("{% macro cell(it) %}<b>{{ it }}</b>{% endmacro %}{{ cell('5 % <') }}", "<b>5\u00a0% &lt;</b>"),
        ("{{ number }} {{ none }}", "5 None"),
    ],
    ids=["text", "sentence", "verbatim", "command", "macro", "no text"],
)
def test_a_number_stays_on_the_line_of_its_percent_sign_but_in_what_is_copied(template, expected, tmp_path):
    values = {"text": "87.5 % of <them>, a % b", "command": "9 % by `dvc add 5 %`", "number": 5, "none": None}
    assert rendered(template, tmp_path, **values) == expected
