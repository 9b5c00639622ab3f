"""The machine that a stage computes on: device, threads, precision and CPU instructions, chosen and set in one step."""

from typing import NamedTuple

import torch

from pipeline.core import cpu_instructions, seeding
from pipeline.core.precision import Precision, in_force
from pipeline.core.recipe import Recipe


class Machine(NamedTuple):
    """The device and settings of a computation, which decide its last digits.

    Attributes:
        device: where networks are computed.
        threads: of the CPU.
        precision: that holds on the device.
        cpu_instructions: those of a CPU's kernels, see `cpu_instructions.choose`; "" where another device computes.
    """

    device: torch.device
    threads: int
    precision: Precision
    cpu_instructions: str = ""


def machine(recipe: Recipe) -> Machine:
    """Choose the device, fix threads and precision, and have everything computed the same way each time.

    The first step of every stage that computes with a network.

    Raises:
        InputError: for a device that is not here, or instructions that its CPU lacks.
    """
    instructions = cpu_instructions.choose(recipe.cpu_instructions)
    device = torch.device(seeding.choose_device(recipe.device))
    precision = in_force(recipe.train.precision, device)
    threads = seeding.make_exact(threads=recipe.threads, device=device.type, precision=precision)
    return Machine(device, threads, precision, instructions if device.type == "cpu" else "")


def device_model(device: torch.device) -> str:
    """Return the model of a GPU of CUDA; "" of any other device, see `Record`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
