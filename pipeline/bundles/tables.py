r"""Predictions written as they come: CSV, JSON, or JSON Lines with an object a line.

Bytes of a name that are no UTF-8 are written as `\udcff`, which is their escape in JSON too.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

from pipeline.bundles import predictions
from pipeline.bundles.predictions import Prediction
from pipeline.core import paths

Write = Callable[[Prediction], object]


@contextmanager
def written(target: Path, top: int) -> Iterator[Write]:
    """Yield a function that writes a prediction; the file is there only if nothing fails in the block.

    Args:
        target: its ending is one of `FORMATS`.
        top: how many classes of an image are written, at most.
    """
    with (
        paths.written_whole(target) as partial,
        partial.open("w", encoding="utf-8", newline="", errors="backslashreplace") as stream,
        FORMATS[target.suffix.lower()](stream, top) as write,
    ):
        yield write


@contextmanager
def csv_to(stream: TextIO, top: int) -> Iterator[Write]:
    """Yield a function that writes a row of a table."""
    stream.write(_line(predictions.columns(top)))
    yield lambda one: stream.write(_line(predictions.cells(one, top)))


@contextmanager
def _json_to(stream: TextIO, _top: int) -> Iterator[Write]:
    between = iter(("[\n",))
    yield lambda one: stream.write(next(between, ",\n") + _object(one))
    stream.write(next(between, "\n") + "]\n")


@contextmanager
def _lines_to(stream: TextIO, _top: int) -> Iterator[Write]:
    yield lambda one: stream.write(_object(one) + "\n")


def _line(row: Sequence[Any]) -> str:
    line = io.StringIO()
    # Python before 3.13 puts a carriage return in quotes only where it may end a line.
    csv.writer(line, lineterminator="\r\n").writerow(row)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _object(one: Prediction) -> str:
    return json.dumps(predictions.as_object(one), ensure_ascii=False)


FORMATS: dict[str, Callable[[TextIO, int], AbstractContextManager[Write]]] = {
    ".csv": csv_to,
    ".json": _json_to,
    ".jsonl": _lines_to,
}
