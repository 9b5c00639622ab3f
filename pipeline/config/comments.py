"""The comments behind the values of params.yaml: for a recipe's, the place in its paper."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap


def comments(path: Path) -> dict[str, str]:
    """Return the comment behind each value on the value's line, by dotted name; keys without one are left out."""
    return _below(YAML().load(path.read_text(encoding="utf-8")), "")


def _below(values: Any, prefix: str) -> dict[str, str]:
    if not isinstance(values, CommentedMap):
        return {}
    texts: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        token = next((token for token in values.ca.items.get(key, []) if hasattr(token, "value")), None)
        # ruamel keeps the lines below with the comment of the line.
        text = token.value.partition("\n")[0].removeprefix("#").strip() if token else ""
        texts |= {name: text} if text else {}
        texts |= _below(value, f"{name}.")
    return texts
