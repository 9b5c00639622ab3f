"""Kinds of tensors in a file of weights that are not plain numbers that a network can start from."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Counters, such as a batch norm's number of batches; a backbone's own values are none.
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def fault(values: Mapping[str, Tensor]) -> str | None:
    """Return the first tensor that is not one of plain numbers with what it is, in words; None where all are."""
    for name, value in values.items():
        if what := _what(value):
            return f"tensor {name} is {what}"
    return _shared(values)


def _what(value: Tensor) -> str:
    """Return what a tensor is that cannot be used; "" for one of plain numbers."""
    if type(value) not in (Tensor, nn.Parameter, nn.Buffer):
        return f"a {type(value).__name__}"
    if value.is_nested:
        return "nested"
    if value.layout != torch.strided:
        return f"sparse ({str(value.layout).removeprefix('torch.')})"
    if value.is_meta:
        return "without values (of the device meta)"
    name = str(value.dtype).removeprefix("torch.")
    if value.is_quantized:
        return f"quantized ({name})"
    if value.is_complex():
        return f"complex ({name})"
    if value.dtype not in FLOATS + WHOLE:
        return f"of {name}"
    if value.numel() == 0:
        return f"empty, {tuple(value.shape)}"
    if any(stride == 0 and size > 1 for stride, size in zip(value.stride(), value.shape, strict=True)):
        return f"expanded: its {value.numel():,} values {tuple(value.shape)} are fewer, repeated"
    return ""


def _shared(values: Mapping[str, Tensor]) -> str | None:
    """Return the first two tensors with memory in common: that one is a copy of the other is not seen in a network."""
    spans = sorted((*_span(value), name) for name, value in values.items())
    for (_, end, name), (start, _, other) in pairwise(spans):
        if start < end:
            return f"tensors {name} and {other} share memory"
    return None


def _span(value: Tensor) -> tuple[int, int]:
    """Return the addresses of a tensor's first byte and of that behind its last one."""
    reach = sum(stride * (size - 1) for stride, size in zip(value.stride(), value.shape, strict=True))
    return value.data_ptr(), value.data_ptr() + (reach + 1) * value.element_size()
