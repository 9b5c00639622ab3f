"""The table of trainings that the proof of the advice rests on: what is in it, and how it is read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from advice_images import SIZES

from pipeline.advice.candidates import Candidate

TABLE = Path(__file__).resolve().parent / "results/advice.jsonl"
# Inner divisions, and seeds of the training on all of a cut.
REPEATS = 3
INNER, OUTER = "inner", "outer"
# Which images of a cut each inner division tests, in the order of its rows' answers.
DIVISIONS = TABLE.with_name("advice-divisions.json")
# A table that was cut short has candidates in full, the cheaper ones; those that are not named come last.
FIRST = ("probe", "1", "3c", "3b", "3a", "lp_ft", "2", "l2_sp", "spa_gca")


class Training(NamedTuple):
    """One row of the table to be."""

    set: str
    per_class: int
    candidate: Candidate
    part: str
    repeat: int

    def key(self) -> tuple[object, ...]:
        """Return what names its row."""
        return (self.set, self.per_class, self.candidate.name, self.part, self.repeat)


def trainings(names: list[str], listed: list[Candidate]) -> Iterator[Training]:
    """Yield all trainings of the table, candidate by candidate."""
    for one in sorted(listed, key=lambda one: FIRST.index(one.name) if one.name in FIRST else len(FIRST)):
        for size in SIZES:
            for name in names:
                for part in (OUTER, INNER):
                    for repeat in range(1, REPEATS + 1):
                        yield Training(name, size, one, part, repeat)


def table(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a table; a last line that was cut short is left out."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def mend(file: Path) -> None:
    """Take off a last line that was cut short, so that the next row is one of its own."""
    if file.is_file():
        content = file.read_bytes()
        file.write_bytes(content[: content.rfind(b"\n") + 1])


def key_of(found: dict[str, Any]) -> tuple[object, ...]:
    """Return what names a row."""
    return tuple(found[name] for name in ("set", "per_class", "candidate", "part", "repeat"))
