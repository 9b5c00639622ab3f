import pytest
import torch
from torch import nn


@pytest.fixture
def undrawn(monkeypatch):
    """Networks hold what was in memory, for tests that give all values: drawing them takes most of the time."""
    for owner, name in ((torch.Tensor, "normal_"), (torch.Tensor, "uniform_"), (nn.init, "trunc_normal_")):
        monkeypatch.setattr(owner, name, lambda values, *_, **__: values)
