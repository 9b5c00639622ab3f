"""What takes a backbone's pooled features to class scores: one row each."""

from collections.abc import Callable
from copy import deepcopy

from torch import nn

from pipeline.errors import InputError


def _mlp1024(stock: nn.Module, *, classes: int, dropout: float) -> nn.Module:
    """Dropout, 1,024 hidden units, ReLU, dropout, class scores: the head that gives ECSM Table 5's counts."""
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(_last_linear(stock)[1].in_features, 1024),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(1024, classes),
    )


def _linear(stock: nn.Module, *, classes: int, dropout: float) -> nn.Module:
    """One linear layer; behind dropout only where a rate is given, so that its keys stay torchvision's."""
    linear = nn.Linear(_last_linear(stock)[1].in_features, classes)
    return nn.Sequential(nn.Dropout(dropout), linear) if dropout else linear


def _stock(stock: nn.Module, *, classes: int) -> nn.Module:
    """Torchvision's own classifier with its last layer made anew."""
    name, last = _last_linear(stock)
    fresh = nn.Linear(last.in_features, classes)
    if not name:
        return fresh
    head = deepcopy(stock)
    head.set_submodule(name, fresh)
    return head


HEADS: dict[str, Callable[..., nn.Module]] = {"mlp1024": _mlp1024, "linear": _linear, "stock": _stock}


def head(name: str, stock: nn.Module, *, classes: int, **options: float) -> nn.Module:
    """Make a head for what `stock`, the backbone's own classifier, takes.

    Args:
        name: a row of `HEADS`.
        stock: the classifier that torchvision built; read, not changed.
        classes: K, how many scores to give.
        **options: that head's own, e.g. `dropout`.

    Returns:
        A module from features (N, F) to scores (N, K).

    Raises:
        InputError: for an unknown name.
    """
    if name not in HEADS:
        raise InputError(f"head: {name!r} is not known; known: {', '.join(HEADS)}")
    return HEADS[name](stock, classes=classes, **options)


def _last_linear(stock: nn.Module) -> tuple[str, nn.Linear]:
    name, last = [(n, m) for n, m in stock.named_modules() if isinstance(m, nn.Linear)][-1]
    return name, last
