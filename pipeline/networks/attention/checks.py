"""Checks of the mechanisms' options against a network's channels."""

from pipeline.core.errors import InputError


def reduced(name: str, channels: int, reduction: int) -> int:
    """Return C/r, rounded down.

    Args:
        name: the mechanism, for the message.
        channels: C.
        reduction: r.

    Raises:
        InputError: for a reduction under 1, or one that leaves no channel.

    >>> reduced("se", 2048, 16)
    128
    >>> reduced("se", 100, 16)
    6
    """
    if reduction < 1:
        raise InputError(f"attention {name!r}: reduction {reduction} is under 1; give 1 to {channels}")
    if reduction > channels:
        raise InputError(
            f"attention {name!r}: reduction {reduction} leaves none of {channels} channels; give at most {channels}"
        )
    return channels // reduction


def padding(name: str, kernel_size: int) -> int:
    """Return the padding on each side with which a convolution keeps the map's size.

    Raises:
        InputError: for a kernel size that is even or under 1.

    >>> padding("spatial", 7)
    3
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(f"attention {name!r}: kernel_size {kernel_size} is not a positive odd number; give one")
    return kernel_size // 2
