"""The file of a benchmark's results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(file: Path, *, machine: Mapping[str, Any], settings: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Write results with the machine that they were measured on and the settings, and print where they are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine, "settings": settings} | dict(results), indent=2)
    file.write_text(f"{text}\n", encoding="utf-8")
    print(f"written to {file}")
