"""The modules that a timm model runs one after the other, found by watching it on the meta device.

A model is a chain where each module takes the very tensor that the module before gave, unchanged in place: then running
the modules in this order is what `forward_features` does, whatever its code looks like.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Moment(NamedTuple):
    """A tensor with the number of changes that were made to it in place."""

    tensor: Tensor
    version: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and self.tensor is other.tensor and self.version == other.version


@dataclass
class Call:
    """One call of a module.

    Attributes:
        name: of the module.
        module: the module itself.
        given: its only tensor; None where it takes anything else besides.
        gave: the tensor that it returned; None where it returned anything else.
        calls: of modules within, in order.
    """

    name: str
    module: nn.Module
    given: Moment | None
    gave: Moment | None = None
    calls: list["Call"] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its output for one image, without the batch axis."""
        return tuple(self.gave.tensor.shape[1:]) if self.gave else ()


def _moment(value: Any) -> Moment | None:
    return Moment(value, value._version) if isinstance(value, Tensor) else None


@torch.no_grad()
def watched(model: nn.Module, run: Callable[[Tensor], Any], x: Tensor) -> Call:
    """Run a method of a model, such as `forward_features`, and return it as a call with those of all modules within."""
    whole = Call("", model, _moment(x))
    active = [whole]

    def enter(name: str, module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        call = Call(name, module, _moment(inputs[0]) if len(inputs) == 1 and not options else None)
        active[-1].calls.append(call)
        active.append(call)

    def leave(output: Any) -> None:
        active.pop().gave = _moment(output)

    hooks = []
    for name, module in model.named_modules():
        if name:
            hooks += [
                module.register_forward_pre_hook(
                    lambda module, inputs, options, name=name: enter(name, module, inputs, options), with_kwargs=True
                ),
                module.register_forward_hook(lambda _module, _inputs, output: leave(output)),
            ]
    try:
        whole.gave = _moment(run(x))
    finally:
        for hook in hooks:
            hook.remove()
    return whole


def is_chain(call: Call) -> bool:
    """Return whether the modules within hand on one tensor, from the call's own input to its output."""
    return bool(call.calls) and follows(call.calls, call.given) and call.calls[-1].gave == call.gave


def follows(calls: list[Call], given: Moment | None) -> bool:
    """Return whether each call takes what the one before gave, the first a given tensor; no module may recur."""
    names = {call.name for call in calls}
    before = [given, *(call.gave for call in calls)]
    return len(names) == len(calls) and all(
        call.given is not None and call.gave is not None and call.given == at
        for call, at in zip(calls, before, strict=False)
    )


def every(call: Call) -> Iterator[Call]:
    """Yield all calls within, at any depth."""
    for inside in call.calls:
        yield inside
        yield from every(inside)


def units(calls: list[Call]) -> Iterator[Call]:
    """Yield the calls with sequences, and stages that hold one, taken apart as far as they are chains themselves."""
    for call in calls:
        holds = isinstance(call.module, nn.Sequential) or any(isinstance(c.module, nn.Sequential) for c in call.calls)
        if holds and is_chain(call):
            yield from units(call.calls)
        else:
            yield call
