"""Refusals of what a cell sets, in the words of the study's file that sets it."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.core import paths
from pipeline.preview.overriding import UnknownKeyError
from pipeline.studies.definition import Study

# What a message advises to set.
ADDED = re.compile(r"add -S ([\w.]+)=([^\s,;]+)")


def unknown_key(study: Study, cell: str, error: UnknownKeyError) -> str:
    """Return the message for a key that params.yaml does not have, in the words of the study's file."""
    if error.key in study.set:
        return f"set: {error.hint}"
    if cell in study.cells and error.key in study.cells[cell].set:
        return f"cells.{cell}.set: {error.hint}"
    # It may be the user's own word after -S.
    return f"grid: {error.hint}" if error.key in study.settings()[cell] else f"cell {cell!r}: {error}"


def in_its_words(message: str, own: Mapping[str, Any]) -> str:
    """Return a refusal of what a study's file sets in its words: nothing is to be set in params.yaml or after -S."""
    plain = message.removeprefix(f"{paths.PARAMS}: ")
    message = plain if plain.partition(":")[0] in own else message
    return ADDED.sub(lambda found: f"set {found[1]} to {found[2]} there" if found[1] in own else found[0], message)
