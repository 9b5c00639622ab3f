"""The vector instructions of CPU kernels: each library's choice, or those that give the same bits on all x86 CPUs."""

import os
from typing import Literal

from pipeline.core.errors import InputError

CpuInstructions = Literal["native", "portable"]
PORTABLE: CpuInstructions = "portable"
# torch's own kernels, oneDNN's and MKL's read these when they first compute. Where a library chooses by itself, wider
# vectors sum in another order. MKL looks at the CPU's maker besides, unless it is asked for what all makers' CPUs have.
VARIABLES = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}


def choose(asked: CpuInstructions) -> str:
    """Choose the instructions of this process and of those that it starts, and return what is in force.

    Args:
        asked: `native` leaves each library its choice; `portable` has torch and oneDNN use AVX2, and MKL what it calls
            compatible.

    Raises:
        InputError: `portable` on a CPU without AVX2, or after torch has computed something with other instructions.
    """
    if asked == PORTABLE:
        prefer_portable()
    held = in_force()
    if asked == PORTABLE != held:
        raise InputError(_lacking(held))
    return held


def _lacking(held: str) -> str:
    return f"cpu_instructions: {PORTABLE} needs an x86 CPU with AVX2, and this process has {held}; give native"


def check(asked: CpuInstructions) -> None:
    """Refuse instructions that this CPU lacks, without having this process compute with them.

    Raises:
        InputError: `portable` on a CPU without AVX2.
    """
    # `native` needs no torch.
    if asked == PORTABLE and (own := in_force()) not in (PORTABLE, "avx2", "avx512"):
        raise InputError(_lacking(own))


def prefer_portable() -> None:
    """Have this process compute with AVX2, if its CPU has it and nothing was computed yet."""
    os.environ |= VARIABLES


def in_force() -> str:
    """Return `portable`, or torch's name of the instructions in lower case, such as `avx512`, `avx2` or `default`."""
    import torch

    own = torch.backends.cpu.get_cpu_capability().lower()
    return PORTABLE if own == "avx2" and VARIABLES.items() <= os.environ.items() else own
