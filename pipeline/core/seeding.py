"""Seeds, threads, precision and determinism: set once at the start of a stage, and recorded."""

import hashlib
import json
import os
import re
from typing import Literal

from pipeline.core.errors import InputError
from pipeline.core.precision import Precision, set_float32

SEEDS = 2**63
# The variable that lets a training have more threads than cores.
MORE_THREADS = "ORBWEAVER_MORE_THREADS"
# What names a device, and the same in words.
DEVICE, DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?"), "auto, cpu, cuda, cuda:1 or mps"


def derive(*parts: int | str) -> int:
    """Derive one seed from several parts, so that neighboring numbers give unrelated streams.

    >>> derive("order", 1, 0) == derive("order", 1, 0) != derive("order", 0, 1)
    True
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % SEEDS


def make_exact(*, threads: int | Literal["auto"], device: str, precision: Precision) -> int:
    """Make torch use deterministic algorithms, a known number of CPU threads and a known precision.

    One thread more or less changes last digits, which grow in training, so the number is part of the record.

    Args:
        threads: how many; `auto` keeps torch's own choice, every core at hand.
        device: where the run computes. On Apple's GPUs torch has no deterministic form of some layers, ResNet's
            max-pooling among them, and would refuse to train; there it is not asked for.
        precision: as in force on the device, see `pipeline.core.precision`.

    Returns:
        The number in force.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    # As `use_deterministic_algorithms`, which besides imports torch's compiler, seconds, to set an option of it.
    torch.set_deterministic_debug_mode("default" if device.startswith("mps") else "error")
    # Each new tensor would be filled once before an operation fills it with its result, and no operation here reads
    # what it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    set_float32(precision)
    if threads != "auto":
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def cores() -> int:
    """Return how many cores of the CPU this process may use, on a shared machine perhaps not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | Literal["auto"]) -> None:
    """Refuse more threads than there are cores, which only make a training slower.

    A run that is made again on a smaller machine keeps its number, on which last digits depend: `orbweaver reproduce`
    sets the variable `MORE_THREADS`.

    Raises:
        InputError: naming both numbers.
    """
    if threads != "auto" and threads > cores() and not os.environ.get(MORE_THREADS):
        raise InputError(f"threads: {threads}: there are {cores()} cores available; give at most as many, or auto")


def choose_device(name: str) -> str:
    """Return the device to use: `auto` is a CUDA GPU, else Apple's, else the CPU.

    Raises:
        InputError: naming a device that was asked for and is none, or is not here.
    """
    if not DEVICE.fullmatch(name):
        raise InputError(f"device: {name!r}: give {DEVICES}")
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind, present in here.items() if present)
    if not here[name.partition(":")[0]]:
        present = ", ".join(kind for kind, there in here.items() if there)
        raise InputError(f"device: {name!r} is not on this machine; give auto or one that is: {present}")
    if name.startswith("cuda:") and int(name[5:]) >= torch.cuda.device_count():
        raise InputError(
            f"device: {name!r} is not on this machine, which has {torch.cuda.device_count()} GPUs; give auto or cuda"
        )
    return name


def digest(values: object) -> str:
    """Return the SHA-256 of plain data, the same for equal data whatever the order of its keys.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
