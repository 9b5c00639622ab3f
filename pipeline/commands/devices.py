"""The option of a device, the same for each command that applies a bundle."""

import click

from pipeline.core.errors import InputError
from pipeline.core.seeding import DEVICE, DEVICES


def _checked(_context: click.Context, _parameter: click.Parameter, device: str) -> str:
    """Return a device's name, before torch is imported, which then says whether it is here."""
    if not DEVICE.fullmatch(device):
        raise InputError(f"--device {device}: give {DEVICES}")
    return device


option = click.option("--device", default="auto", show_default=True, callback=_checked, help=f"{DEVICES}.")
