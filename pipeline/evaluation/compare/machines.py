"""Machines and versions that trained what is compared: others sum in another order, and change last digits."""

import re
from collections.abc import Iterable, Iterator, Mapping

from pipeline.core.counting import counted
from pipeline.core.provenance import COMPUTING
from pipeline.core.records import MachineRecord

# Of a CPU's name, which has how many of its cores could be used; the number of threads says how many were.
CORES = re.compile(r", \d+ cores$")

Differing = dict[str, dict[str, list[str]]]


def differing(by_name: Mapping[str, Iterable[MachineRecord]]) -> Differing:
    """Return what differs between trainings, and each of its values with the names that have it.

    It is the device, the CPU's instructions, the number of threads, or the version of a package.

    Args:
        by_name: of each experiment or cell, the machines of its repeats.
    """
    by_value: Differing = {}
    for name, repeats in by_name.items():
        for what, value in dict.fromkeys(said for one in repeats for said in _said(one)):
            by_value.setdefault(what, {}).setdefault(value, []).append(name)
    return {what: values for what, values in by_value.items() if len(values) > 1}


def _said(one: MachineRecord) -> Iterator[tuple[str, str]]:
    yield "device", CORES.sub("", one.device_name)
    if one.cpu_instructions:
        yield "CPU instructions", one.cpu_instructions
    yield "threads", str(one.threads)
    # One without a package does not use it.
    yield from ((name, one.versions[name]) for name in COMPUTING if name in one.versions)


def sentence(by_value: Differing, noun: str) -> str:
    """Return in a sentence what differs, and how many have each value; empty where nothing does.

    Args:
        by_value: what `differing` returned.
        noun: of what is counted, such as "cell".

    >>> sentence({"threads": {"1": ["a", "b"], "4": ["c"]}}, "cell")
    'Not all repeats were trained alike, which alone changes results: threads 1 (2 cells), 4 (1 cell).'
    """
    if not by_value:
        return ""
    parts = (
        f"{what} " + ", ".join(f"{value} ({counted(len(names), noun)})" for value, names in values.items())
        for what, values in by_value.items()
    )
    return f"Not all repeats were trained alike, which alone changes results: {'; '.join(parts)}."
