"""The machine that a stage computes on: the device, the CPU threads and the precision, chosen and set in one step."""

from typing import NamedTuple

import torch

from pipeline.core import seeding
from pipeline.core.precision import Precision, in_force
from pipeline.core.recipe import Recipe


class Machine(NamedTuple):
    """The device, the CPU threads, and the precision that holds there."""

    device: torch.device
    threads: int
    precision: Precision


def machine(recipe: Recipe) -> Machine:
    """Choose the device, fix threads and precision, and have everything computed the same way each time.

    The first step of every stage that computes with a network.

    Raises:
        InputError: for a device that is not here.
    """
    device = torch.device(seeding.choose_device(recipe.device))
    precision = in_force(recipe.train.precision, device)
    threads = seeding.make_exact(threads=recipe.threads, device=device.type, precision=precision)
    return Machine(device, threads, precision)


def device_model(device: torch.device) -> str:
    """Return the model of a GPU of CUDA; "" of any other device, see `Record`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
