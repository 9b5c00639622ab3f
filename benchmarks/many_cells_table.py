"""The table of docs/studies.md from what many_cells.py measured: python benchmarks/many_cells_table.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULT = Path(__file__).resolve().parent / "results/many-cells.json"


def table(result: Mapping[str, Any]) -> str:
    """Return the measurements as a table of Markdown, two versions of the package side by side; the first is before."""
    by_place = {(one["command"], one["cells"], one["code"]): one for one in result["measured"]}
    lines = [
        "| command | cells | CPU before (s) | CPU (s) | memory before (MiB) | memory (MiB) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for command in dict.fromkeys(one["command"] for one in result["measured"]):
        for count in sorted({one["cells"] for one in result["measured"]}):
            both = [by_place.get((command, count, code)) for code in (0, 1)]
            figures = [_figure(one, key, digits) for key, digits in (("cpu", 1), ("memory", 0)) for one in both]
            lines.append(f"| {' | '.join([f'`{command}`', f'{count:,}', *figures])} |")
    return "\n".join(lines).replace("`sync again`", "`sync`, nothing new")


def _figure(one: dict[str, Any] | None, key: str, digits: int) -> str:
    """Return one measured value; that of a command which was cut is a lower bound."""
    return "not measured" if one is None else f"{'over ' if one['cut'] else ''}{one[key]:,.{digits}f}"


if __name__ == "__main__":
    print(table(json.loads(RESULT.read_text(encoding="utf-8"))))
