import pytest
import torch
from torch import nn


@pytest.fixture
def undrawn(monkeypatch):
    """Skip random initialization, which takes most of the time, for tests that set all values."""
    for owner, name in ((torch.Tensor, "normal_"), (torch.Tensor, "uniform_"), (nn.init, "trunc_normal_")):
        monkeypatch.setattr(owner, name, lambda values, *_, **__: values)
