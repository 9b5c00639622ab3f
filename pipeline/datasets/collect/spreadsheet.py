"""Tables as spreadsheets write them: separated by commas, semicolons or tabs, which the file may name itself."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import InputError

_SEPARATORS = (",", ";", "\t")
# Begins the line by which Excel is told the separator; it may be in quotes.
_NAMES_IT = "sep="


def lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that have a text, the header first, each with the number at which it begins.

    Raises:
        InputError: for a file that is not UTF-8, and for a line that is no part of a table.
    """
    try:
        # Spreadsheets write a byte order mark.
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8; save it as 'CSV UTF-8'") from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    begins, is_first = 1, True
    try:
        for line in reader:
            if any(cell.strip() for cell in line):
                if not (is_first and line[0].casefold().startswith(_NAMES_IT)):
                    yield begins, line
                is_first = False
            # A cell in quotes may go on over several lines.
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{file}: line {begins}: {error}; mend the line, such as a quote that is not closed") from None


def _separator(text: str) -> str:
    """Return the separator that the first line with a text names, or else has most often."""
    blank = f'{"".join(_SEPARATORS)} "\r\n'
    first = next((line for line in io.StringIO(text, newline="") if line.strip(blank)), "").lstrip(blank)
    if first.casefold().startswith(_NAMES_IT) and (named := first[len(_NAMES_IT) :][:1]) in _SEPARATORS:
        return named
    return max(_SEPARATORS, key=first.count)
