"""The comments behind the values of params.yaml."""

from pathlib import Path

from pipeline.config.comments import comments

TEXT = """\
a: 1   # behind a number
b:     # behind a section
  # on a line of its own
  c: "x # y"  # behind a text
  d: [1, 2]   # behind a list
e:
- 1  # behind an item, which has no name
f: |
  text
# on the line below a block of text
g: &g   # behind an anchor
  h: 2  # behind a value that is named again
i: *g
j: x#y
"""


def test_the_comment_is_that_on_the_values_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(TEXT, encoding="utf-8")
    assert comments(tmp_path / "params.yaml") == {
        "a": "behind a number",
        "b": "behind a section",
        "b.c": "behind a text",
        "b.d": "behind a list",
        "g": "behind an anchor",
        "g.h": "behind a value that is named again",
        "i.h": "behind a value that is named again",
    }
