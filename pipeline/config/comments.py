"""The comments behind the values of params.yaml: for a recipe's, the place in its paper."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

# After a key, an anchor may come first.
COMMENT = re.compile(r"(?::(?:\s*&\S+)?)?\s*#\s*(.+)")


def comments(path: Path) -> dict[str, str]:
    """Return the comment behind each value on the value's line, by dotted name; keys without one are left out."""
    text = path.read_text(encoding="utf-8")
    # PyYAML's C parser knows the place of each node. A parser that keeps comments is in Python, and 20 times slower.
    root = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return dict(_below(root, "", text.splitlines()))


def _below(node: yaml.Node | None, prefix: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if comment := COMMENT.fullmatch(_rest(key, value, lines)):
            yield name, comment.group(1).strip()
        yield from _below(value, f"{name}.", lines)


def _rest(key: yaml.Node, value: yaml.Node, lines: Sequence[str]) -> str:
    """Return what follows a value on its line, and what follows its key where the value begins below it."""
    # What an alias stands for is at another place, and a block begins on the next line.
    is_alias = value.start_mark.index < key.start_mark.index
    is_line = isinstance(value, yaml.ScalarNode) and value.style not in ("|", ">")
    is_flow = isinstance(value, yaml.CollectionNode) and value.flow_style
    end = value.end_mark if (is_line or is_flow) and not is_alias else key.end_mark
    return lines[end.line][end.column :] if end.line < len(lines) else ""
