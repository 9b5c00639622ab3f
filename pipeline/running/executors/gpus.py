"""The GPUs of this machine that a cell may be given, without torch, whose import takes seconds."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

VARIABLE = "CUDA_VISIBLE_DEVICES"
# Seconds; a driver that hangs answers never.
PATIENCE = 20.0
# A GPU that is divided (MIG) cannot be used whole: its parts take its place.
LISTED = re.compile(r"^(?P<part>\s*)\S.*\(UUID: (?P<name>[^)]+)\)")
# A process with none of these computes on the GPUs that CUDA gives it.
ON_A_GPU = ("auto", "cuda")


def here(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs of CUDA that this process may use, as the variable of CUDA names them.

    Args:
        environment: in which a scheduler or the user may have named some.
    """
    if _is_for_the_cpu():
        return []
    listed = environment.get(VARIABLE)
    if listed is None:
        return _in_driver()
    # CUDA looks at none behind the first that is none.
    names = [name.strip() for name in listed.split(",")]
    ends = [place for place, name in enumerate(names) if name in ("", "-1")]
    return names[: ends[0]] if ends else names


def _is_for_the_cpu() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False


def _in_driver() -> list[str]:
    try:
        done = subprocess.run(
            ("nvidia-smi", "-L"),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return of_listing(done.stdout) if done.returncode == 0 else []


def of_listing(text: str) -> list[str]:
    r"""Return the GPUs, or the parts of divided ones, that `nvidia-smi -L` lists.

    >>> of_listing("GPU 0: A (UUID: GPU-1)\n  MIG 1g Device 0: (UUID: MIG-2)\nGPU 1: B (UUID: GPU-3)")
    ['MIG-2', 'GPU-3']
    """
    lines = [line for line in map(LISTED.match, text.splitlines()) if line]
    divided = {place for place, line in enumerate(lines[1:]) if line["part"] and not lines[place]["part"]}
    return [line["name"] for place, line in enumerate(lines) if place not in divided]


def places(gpus: Sequence[str], jobs: int | None) -> list[str | None]:
    """Return the GPU of each cell that runs at a time, as even as can be; None where there is none.

    Args:
        gpus: all that may be used.
        jobs: how many cells run at a time; None for one a GPU, or one where there is none.

    >>> places([], None), places(["0", "1"], None), places(["0", "1"], 3)
    ([None], ['0', '1'], ['0', '1', '0'])
    """
    count = jobs or max(len(gpus), 1)
    return [gpus[number % len(gpus)] if gpus else None for number in range(count)]
