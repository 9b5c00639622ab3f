"""The methods of keeping the target network near the source: one row each."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core.errors import InputError
from pipeline.regularizers.act import ACT
from pipeline.regularizers.ast import AST
from pipeline.regularizers.contract import Regularizer
from pipeline.regularizers.delta import Delta
from pipeline.regularizers.gca import GCA
from pipeline.regularizers.l2 import L2
from pipeline.regularizers.l2_fe import L2FE
from pipeline.regularizers.l2_sp import L2SP
from pipeline.regularizers.spa import SPA


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        make: called with what the method needs and its own options, all by keyword.
        needs: what has to be given beside options: `shapes`, (C, H, W) by tap, where taps are compared; `network`, as
            training starts from it, and `added`, its modules without pre-trained values; `head`, the classifier's
            name; `channel_weights` by tap.
    """

    make: Callable[..., Regularizer]
    needs: tuple[str, ...] = ()


_MAPS = ("shapes", "head")

METHODS: dict[str, Method] = {
    "l2": Method(L2),
    "l2_fe": Method(L2FE),
    "l2_sp": Method(L2SP, needs=("network", "added", "head")),
    "delta": Method(Delta, needs=(*_MAPS, "channel_weights")),
    "ast": Method(AST, needs=_MAPS),
    "act": Method(ACT, needs=_MAPS),
    "spa": Method(SPA, needs=_MAPS),
    "gca": Method(GCA, needs=_MAPS),
}


def method(name: str) -> Method:
    """The row of this name; `none`, which users may give too, has no row, nor have two methods one after the other.

    Raises:
        InputError: listing the known names.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise InputError(f"regularizer: {name!r} is not known; known: none, {', '.join(METHODS)}") from None
