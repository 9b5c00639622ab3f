"""Plain files, and the one argument of a stage of a repeat."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core import yaml_limits
from pipeline.core.errors import InputError
from pipeline.core.shortening import shown

# Characters that start a formula in a spreadsheet, and the one that marks a text. A text that starts with the mark gets
# another.
FORMULA = ("=", "+", "-", "@", "'")
MARK = "'"


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings with their dotted names.

    >>> list(flat({"a": {"b": 1}, "c": 2}))
    [('a.b', 1), ('c', 2)]
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def repeat_argument(arguments: Sequence[str]) -> int:
    """Return the number of the repeat, from the only argument of a stage.

    DVC writes `--repeat 1` for dvc.yaml's `${item}`, in quotes whatever the value is, so that no shell reads it.

    Raises:
        InputError: where there is none, or it is no whole number as DVC names a stage's files by it.
    """
    words = arguments[1:] if arguments[:1] == ["--repeat"] else arguments
    if len(words) != 1 or not re.fullmatch(r"0|[1-9][0-9]{0,9}", words[0]):
        raise InputError(
            f"repeats: {shown(' '.join(words))} is not the number of a repeat; give a whole number of 0 or more"
        )
    return int(words[0])


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, read as DVC reads it: by YAML 1.2, where `1e-05` is a number.

    Raises:
        InputError: for a file that is not YAML, or is too large or deep to be read (`yaml_limits`).
        FileNotFoundError: where there is none.
    """
    return _loaded(yaml_limits.read_text(path), path)


def parse_yaml(content: bytes, place: Path) -> Any:
    """Return what YAML of any size holds, such as what DVC writes, read as DVC reads it.

    Args:
        content: UTF-8.
        place: where it is from, for messages.

    Raises:
        InputError: for what is not YAML, or has the marks of a merge that was not finished.
    """
    text = content.decode("utf-8", "replace")
    yaml_limits.check_merged(text, place)
    return _loaded(text, place)


def _loaded(text: str, place: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(text)
    # A lookup fails of a value that is not what its tag says, such as `!!bool foo`.
    except (YAMLError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{place}: not YAML: {yaml_limits.reason(error, text)}") from None


def write_yaml(path: Path, values: Mapping[str, Any], *, header: str) -> None:
    """Write nested plain data below a comment, the same bytes for the same values.

    Args:
        path: the file.
        values: in the order in which they are written.
        header: one line.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed as a number
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f"# {header}\n")
        yaml.dump(dict(values), stream)


def as_json(values: Mapping[str, Any]) -> str:
    """Return readable JSON, the same for the same values."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write readable JSON, the same bytes for the same values."""
    path.write_text(as_json(values), encoding="utf-8")


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write CSV with these columns, then the other keys of the rows, and whole numbers without a decimal point."""
    columns = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_cell(value: Any) -> Any:
    """Return a value for a table that people open: text that a spreadsheet would run has an apostrophe in front.

    >>> as_cell("=1+1.png"), as_cell("it's"), as_cell("'"), as_cell(-5)
    ("'=1+1.png", "it's", "''", -5)
    """
    return MARK + value if isinstance(value, str) and value.startswith(FORMULA) else value
