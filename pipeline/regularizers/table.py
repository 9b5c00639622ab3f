"""The methods of keeping the target network near the source: one row each."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.regularizers.act import ACT
from pipeline.regularizers.ast import AST
from pipeline.regularizers.contract import Regularizer
from pipeline.regularizers.delta import Delta
from pipeline.regularizers.gca import GCA
from pipeline.regularizers.l2 import L2
from pipeline.regularizers.l2_fe import L2FE
from pipeline.regularizers.l2_sp import L2SP
from pipeline.regularizers.options import one_of
from pipeline.regularizers.spa import SPA


@dataclass(frozen=True)
class Method:
    """One row of the table: a method with a term of its own, or none.

    Attributes:
        make: called with what the method needs and its own options, all by keyword.
        needs: what has to be given beside options: `shapes`, (C, H, W) by tap, where taps are compared; `network`, as
            training starts from it, and `added`, its modules without pre-trained values; `head`, the classifier's
            name; `channel_weights` by tap.
    """

    make: Callable[..., Regularizer]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Composition:
    """One row of the table: two methods, each for one half of the training.

    Before the second half the target's values become the source's and the second method is made anew.

    Attributes:
        halves: the methods' names, in the paper's order.
        reversible: whether the other order is there too.
    """

    halves: tuple[str, str]
    reversible: bool = False

    def orders(self) -> dict[str, tuple[str, str]]:
        """The halves by what an order is called, the paper's first."""
        first, second = self.halves
        known = {f"{first}_first": (first, second)}
        return known | {f"{second}_first": (second, first)} if self.reversible else known


_MAPS = ("shapes", "head")

METHODS: dict[str, Method | Composition] = {
    "l2": Method(L2),
    "l2_fe": Method(L2FE),
    "l2_sp": Method(L2SP, needs=("network", "added", "head")),
    "delta": Method(Delta, needs=(*_MAPS, "channel_weights")),
    "ast": Method(AST, needs=_MAPS),
    "act": Method(ACT, needs=_MAPS),
    "spa": Method(SPA, needs=_MAPS),
    "gca": Method(GCA, needs=_MAPS),
    "afa": Composition(("ast", "act")),
    "spa_gca": Composition(("spa", "gca"), reversible=True),
}


def method(name: str) -> Method | Composition:
    """The row of this name; `none`, which users may give too, has no row.

    Raises:
        InputError: listing the known names.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise InputError(f"regularizer: {name!r} is not known; known: none, {', '.join(METHODS)}") from None


def stages(name: str, order: str | None = None) -> tuple[str, ...]:
    """The methods, one after the other, that a row stands for.

    Args:
        name: the row's.
        order: of a composition, `spa_first` or `gca_first`; None for the paper's.

    Raises:
        InputError: for an unknown name and an order that the row has not.

    >>> stages("ast"), stages("spa_gca"), stages("spa_gca", "gca_first")
    (('ast',), ('spa', 'gca'), ('gca', 'spa'))
    """
    row = method(name)
    if isinstance(row, Composition):
        orders = row.orders()
        return row.halves if order is None else orders[one_of(name, "order", order, orders)]
    if order is not None:
        raise InputError(f"regularizer {name!r}: order {order!r} means nothing for a single method; leave it out")
    return (name,)
