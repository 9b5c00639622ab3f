"""Nested settings put together from several places, with the place of each value."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pipeline.core.files import flat


def at(values: Any, name: str) -> Any:
    """Return the value or section of a dotted name in nested values; None where there is none.

    >>> at({"split": {"test": 0.3}}, "split.test"), at({"split": "none"}, "split.test")
    (0.3, None)
    """
    for key in name.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


class Layers:
    """Nested values; a later layer wins.

    Attributes:
        values: nested plain data.
        origins: for every leaf, by its dotted name, the key of params.yaml that it is from.

    >>> layers = Layers({"lr": 0.1, "split": {"test": 0.3}}, "defaults")
    >>> layers.put({"lr": 0.2}, "recipes.mine")
    >>> layers.values, layers.origins["lr"], layers.origins["split.test"]
    ({'lr': 0.2, 'split': {'test': 0.3}}, 'recipes.mine.lr', 'defaults.split.test')
    """

    def __init__(self, values: Mapping[str, Any], place: str) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.put(values, place)

    def put(self, changes: Mapping[str, Any], place: str) -> None:
        """Put a layer on top.

        Args:
            changes: nested values.
            place: the key of params.yaml that they are below; "" for its top.
        """
        for name, value in flat(changes):
            self.set(name, value, f"{place}.{name}" if place else name)

    def set(self, name: str, value: Any, origin: str) -> None:
        """Put one leaf, in place of a whole section of this name where there is one."""
        *sections, key = name.split(".")
        inside = self.values
        for section in sections:
            if not isinstance(inside.get(section), dict):
                inside[section] = {}
            inside = inside[section]
        below = flat(inside[key], f"{name}.") if isinstance(inside.get(key), Mapping) else ()
        stale = [*(".".join(sections[:count]) for count in range(1, len(sections) + 1)), *(known for known, _ in below)]
        inside[key] = deepcopy(value)
        for known in stale:
            self.origins.pop(known, None)
        self.origins[name] = origin

    def get(self, name: str) -> Any:
        """Return the value or section of a dotted name."""
        inside: Any = self.values
        for key in name.split("."):
            inside = inside[key]
        return inside

    def origin(self, name: str) -> str:
        """Return the key of params.yaml that a value, or the section or list that it is in, is from."""
        keys = name.split(".")
        for count in range(len(keys), 0, -1):
            if (known := ".".join(keys[:count])) in self.origins:
                return ".".join([self.origins[known], *keys[count:]])
        inside = [
            origin.removesuffix(known.removeprefix(name))
            for known, origin in self.origins.items()
            if known.startswith(f"{name}.")
        ]
        if inside:
            return inside[-1]
        return name if keys[0] == "options" else f"defaults.{name}"
