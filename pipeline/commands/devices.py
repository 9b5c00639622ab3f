"""The option of a device, the same for each command that applies a bundle."""

import re

import click

from pipeline.core.errors import InputError

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


def _checked(_context: click.Context, _parameter: click.Parameter, device: str) -> str:
    """Return a device's name, before torch is imported, which then says whether it is here."""
    if not DEVICE.fullmatch(device):
        raise InputError(f"--device {device}: give auto, cpu, cuda, cuda:1 or mps")
    return device


option = click.option(
    "--device", default="auto", show_default=True, callback=_checked, help="auto, cpu, cuda, cuda:1 or mps."
)
