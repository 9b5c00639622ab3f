"""The division of a timm model's modules into stem and four blocks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from torch import nn

from pipeline.core.errors import InputError
from pipeline.networks.backbones.structure import Step
from pipeline.networks.backbones.timm_chain import Call

BLOCKS = 4
# The first and the last number of some calls.
Span = tuple[int, int]


class Groups(NamedTuple):
    """A division.

    Attributes:
        stages: of each module, `stem` or `block1` ... `block4`.
        ends: the last module of each block that gives features, without what normalizes or widens them at the end.
        by_depth: whether the blocks have one resolution, or fewer than four, and were counted instead.
    """

    stages: tuple[str, ...]
    ends: tuple[str, ...]
    by_depth: bool


def grouped(name: str, plain: nn.Module, calls: Sequence[Call], *, has_stem: bool) -> Groups:
    """Divide modules that follow each other, as timm's `feature_info` says where its stages end.

    Args:
        name: of the model, for messages.
        plain: the model.
        calls: its modules.
        has_stem: whether there is a stem in front of them.

    Raises:
        InputError: where timm names no stages, or fewer than four blocks.
    """
    listed: Any = getattr(plain, "feature_info", None)
    marks = [(one["module"], one["reduction"]) for one in listed] if isinstance(listed, list) else []
    spans = [(_span(calls, module), reduction) for module, reduction in marks if module]
    found = _with_values(calls, [(span, reduction) for span, reduction in spans if span is not None])
    last = found[-BLOCKS:]
    rising = all(a[1] < b[1] and a[0][1] < b[0][1] for a, b in pairwise(last))
    if len(last) == BLOCKS and rising:
        return _by_resolution(calls, [span for span, _ in found])
    inside = sorted({number for (first, end), _ in found for number in range(first, end + 1)})
    blocks = [number for number in inside if _has_values(calls[number])]
    if len(blocks) < BLOCKS or not (has_stem or blocks[0] > 0):
        raise InputError(
            f"{name!r} cannot be divided into {BLOCKS} groups of blocks to freeze: it has fewer blocks; choose another"
        )
    return _by_depth(calls, blocks)


def _has_values(call: Call) -> bool:
    return any(True for _ in call.module.parameters())


def _with_values(calls: Sequence[Call], found: Sequence[tuple[Span, int]]) -> list[tuple[Span, int]]:
    """Return the marks without those that only a pooling parts from the one before, as VGG's last."""
    kept: list[tuple[Span, int]] = []
    for (first, end), reduction in found:
        begin = kept[-1][0][1] + 1 if kept else 0
        if any(_has_values(call) for call in calls[begin : end + 1]):
            kept.append(((first, end), reduction))
    return kept


def _span(calls: Sequence[Call], module: str) -> Span | None:
    """Return the first and the last number of the calls within a module, or of the call that it is within."""
    numbers = [
        number
        for number, call in enumerate(calls)
        if f"{call.name}.".startswith(f"{module}.") or module.startswith(f"{call.name}.")
    ]
    return (numbers[0], numbers[-1]) if numbers else None


def _by_resolution(calls: Sequence[Call], spans: Sequence[Span]) -> Groups:
    first = spans[-BLOCKS][0]
    if len(spans) > BLOCKS:
        first = spans[-BLOCKS - 1][1] + 1
        # What has no values, as a pooling, belongs to what it follows.
        while not _has_values(calls[first]):
            first += 1
    ends = [span[1] for span in spans[-BLOCKS:]]
    stages = ["stem"] * first
    for number in range(first, len(calls)):
        stages.append(f"block{min(BLOCKS, 1 + sum(number > end for end in ends))}")
    return Groups(tuple(stages), tuple(calls[end].name for end in ends), by_depth=False)


def _by_depth(calls: Sequence[Call], blocks: Sequence[int]) -> Groups:
    # The number of the block's group; what is between two blocks belongs to the one in front.
    share = [1 + BLOCKS * place // len(blocks) for place in range(len(blocks))]
    stages, place = [], -1
    for number in range(len(calls)):
        place += number in blocks
        stages.append(f"block{share[place]}" if place >= 0 else "stem")
    ends = [max(number for number, one in zip(blocks, share, strict=True) if one == group) for group in (1, 2, 3, 4)]
    return Groups(tuple(stages), tuple(calls[end].name for end in ends), by_depth=True)


def others(model: nn.Module, steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the names of the modules and parameters that belong to none of the steps, each as a whole if possible."""
    owned = {own for step in steps for own in step.owns or (step.name,)}
    found: list[str] = []

    def visit(module: nn.Module, place: str) -> None:
        own = (f"{place}{name}" for name, _ in module.named_parameters(recurse=False))
        found.extend(name for name in own if name not in owned)
        for name, child in module.named_children():
            full = f"{place}{name}"
            if full in owned:
                continue
            if any(own.startswith(f"{full}.") for own in owned):
                visit(child, f"{full}.")
            else:
                found.append(full)

    visit(model, "")
    return tuple(found)


def marked(model: nn.Module, behind: Sequence[str], steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the same without modules that are behind the blocks: those of a stem that is a function."""
    return tuple(name for name in others(model, steps) if name.partition(".")[0] not in behind)
