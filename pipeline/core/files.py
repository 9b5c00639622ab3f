"""What several stages need: the one argument of a stage of a repeat, and plain files of results."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError


def repeat_argument(arguments: Sequence[str]) -> int:
    """The number of the repeat, the only argument of `python -m pipeline.stages.STAGE REPEAT`.

    Raises:
        InputError: where there is none, or it is no whole number.
    """
    if len(arguments) != 1 or not arguments[0].isdecimal():
        raise InputError(f"{' '.join(arguments)!r}: give the number of one repeat")
    return int(arguments[0])


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Readable JSON, the same bytes for the same values."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """CSV with the keys of all rows as its header; whole numbers are written without a decimal point."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
