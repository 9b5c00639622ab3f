import re
from pathlib import Path

import pytest

from pipeline.core import files, yaml_limits
from pipeline.core.errors import InputError

PLACE = Path("some.yaml")
TAG = "a value is not what its tag says, such as !!int; take the tag out"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("title: !!bool foo\n", TAG),
        ('recipe: !!int ""\n', TAG),
        ("{lr: !!float ''}\n", TAG),
        ("a: !!int x\n", "invalid literal for int() with base 10: 'x'"),
        ("? " * 3000 + "1", "sections or lists are nested too deep"),
    ],
    ids=["bool", "int", "float", "letters", "keys"],
)
def test_yaml_that_cannot_be_built_is_refused_in_a_line(text, reason):
    with pytest.raises(InputError, match=rf"^some\.yaml: not YAML: {re.escape(reason)}$"):
        files.parse_yaml(text.encode(), PLACE)


@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_twenty_nested_sections_or_lists_are_read_and_no_more(kind):
    start, end = ("[", "]") if kind == "[]" else ("{a: ", "}")
    yaml_limits.check(start * 20 + "1" + end * 20, PLACE)
    with pytest.raises(InputError, match=r"line 1: more than 20 nested sections or lists; settings have fewer$"):
        yaml_limits.check(start * 21 + "1" + end * 21, PLACE)
