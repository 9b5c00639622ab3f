"""torchvision without PyTorch's compiler; every module that needs it imports it from here."""

from typing import Any

from pipeline.core import compiler

with compiler.deferred():
    from torchvision import datasets, models
    from torchvision.transforms import functional

__all__ = ["datasets", "functional", "models", "policies"]


def policies() -> Any:
    """Return torchvision's second version of its transforms, which takes a while to import."""
    with compiler.deferred():
        from torchvision.transforms import v2
    return v2
