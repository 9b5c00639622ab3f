"""torchvision without PyTorch's compiler; every module that needs it imports it from here."""

from pipeline.core import compiler

with compiler.deferred():
    from torchvision import datasets, models
    from torchvision.transforms import functional

__all__ = ["datasets", "functional", "models"]
