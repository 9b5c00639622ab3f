"""A YAML file before it is read: whether it is text, how large and deep it is, and why it is no YAML.

A file of a few lines can stand for gigabytes by aliases of aliases, and one of many brackets ends the parser itself.
"""

import re
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError

MOST_BYTES = 1_000_000
# Keys and values, those behind aliases counted as often as they are named.
MOST_NODES = 20_000
# Sections within sections; ours go seven deep.
DEEPEST = 20
# Characters of a key or value; a path has at most 4,096.
LONGEST = 4096

CONFLICT = re.compile(r"^(<<<<<<<|>>>>>>>)( .*)?$", re.MULTILINE)


def read_text(path: Path) -> str:
    """Return the text of a YAML file that is small enough to be read.

    Raises:
        InputError: for one that is no text, has a merge's conflict marks, is not YAML, or is too large or deep.
        FileNotFoundError: where there is none.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError(f"{path}: {size:,} bytes; at most {MOST_BYTES:,} are read, and settings are far fewer")
    text = _decoded(path)
    check(text, path)
    return text


def check(text: str, path: Path) -> None:
    """Refuse a text that has a merge's conflict marks, is not YAML, or would be too large or deep once it is built.

    Raises:
        InputError: naming the file, the line and the bound.
    """
    from ruamel.yaml.error import YAMLError

    check_merged(text, path)
    try:
        _check_sizes(text, path)
    except YAMLError as error:
        raise InputError(f"{path}: not YAML: {reason(error, text)}") from None


def check_merged(text: str, path: Path) -> None:
    """Refuse a text with the marks of a merge that was not finished.

    Raises:
        InputError: naming the line and the ways out.
    """
    if mark := CONFLICT.search(text):
        place = text.count("\n", 0, mark.start()) + 1
        raise InputError(f"{path}: line {place} is a mark of a conflict in a merge; choose one side of each such place")


def reason(error: Exception, text: str) -> str:
    """Return why a text is not YAML, with the line, from the error of a parser; ruamel.yaml's or PyYAML's."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        start = text.splitlines()[mark.line : mark.line + 1]
        if start and "\t" in start[0][: len(start[0]) - len(start[0].lstrip())]:
            return f"line {mark.line + 1} begins with a tab; YAML takes blanks alone"
        problem = str(getattr(error, "problem", None) or "cannot be read").removeprefix("but ")
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    place = getattr(error, "position", None)
    if isinstance(place, int):
        return f"line {text.count(chr(10), 0, place) + 1}: {getattr(error, 'reason', 'cannot be read')}"
    if isinstance(error, LookupError):
        return "a value is not what its tag says, such as !!int; take the tag out"
    return "sections or lists are nested too deep" if isinstance(error, RecursionError) else str(error)


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: the text is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: line {place} has the byte 0x{content[error.start]:02x}, which is no UTF-8; save it as UTF-8"
        ) from None


def _check_sizes(text: str, path: Path) -> None:
    """Count keys and values by the parser's events, which come one by one, so that nothing is built."""
    from ruamel.yaml import YAML, events

    # The size of each finished anchor, and of each collection that is open, with its anchor.
    sizes: dict[str, int] = {}
    open_ones: list[tuple[str | None, int]] = [(None, 0)]
    for event in YAML(typ="safe").parse(text):
        place = f"{path}: line {event.start_mark.line + 1}" if event.start_mark else f"{path}"
        size, anchor = 0, getattr(event, "anchor", None)
        if isinstance(event, events.CollectionStartEvent):
            open_ones.append((anchor, 1))
            # The first is around them all.
            if len(open_ones) - 1 > DEEPEST:
                raise InputError(f"{place}: more than {DEEPEST} nested sections or lists; settings have fewer")
        elif isinstance(event, events.CollectionEndEvent):
            anchor, size = open_ones.pop()
        elif isinstance(event, events.ScalarEvent):
            _check_length(place, event)
            size = 1
        elif isinstance(event, events.AliasEvent):
            size, anchor = sizes.get(str(anchor), 1), None
            if any(around == event.anchor for around, _ in open_ones):
                raise InputError(f"{place}: the alias {event.anchor!r} contains itself; write its value out")
        if anchor and size:
            sizes[anchor] = size
        around, count = open_ones[-1]
        open_ones[-1] = (around, count + size)
        if sum(count for _, count in open_ones) > MOST_NODES:
            raise InputError(
                f"{place}: more than {MOST_NODES:,} keys and values, those behind aliases included; settings are fewer"
            )


def _check_length(place: str, event: Any) -> None:
    if len(event.value) > LONGEST:
        raise InputError(f"{place}: a key or value of {len(event.value):,} characters; at most {LONGEST:,} are read")
