"""A model of torchvision, timm or this project as an ordered list of steps."""

from collections.abc import Callable, Iterator, Sequence, Set
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.networks.backbones.structure import Step


class Network(nn.Module):
    """A model that can be run from any step to any other.

    Parameters have their library's names in `model`; files of weights hold `model.state_dict()`.

    Attributes:
        model: the library's model, with our head as classifier and with attention modules inserted.
        steps: the steps of `forward`, in order.
        inserted: names of the inserted modules; they train even in a frozen block.
        frozen_steps: names of the steps that do not train (set by `freezing.freeze`).
        freeze_bn_stats: whether all batch norms keep their statistics, also those whose weights train.

    Shape:
        Input (N, 3, S, S), normalized by the backbone's mean and standard deviation; output (N, K) class scores.
    """

    def __init__(self, model: nn.Module, steps: Sequence[Step], inserted: Sequence[str] = ()) -> None:
        super().__init__()
        self.model = model
        self.steps = tuple(steps)
        self.inserted = tuple(inserted)
        self.frozen_steps: frozenset[str] = frozenset()
        self.freeze_bn_stats = False
        self._runs = self._bound()

    def train(self, mode: bool = True) -> "Network":
        """Set train mode, except in frozen steps, which stay in eval mode.

        A batch norm in a frozen step normalizes by its pre-trained statistics, which never change.
        """
        self.training = mode
        self._runs = self._bound()
        frozen = {one for step in self.steps if step.name in self.frozen_steps for one in step.modules(self.model)}
        _set_modes(self.model, mode, frozen, set(self.inserted_modules()), freeze_bn_stats=self.freeze_bn_stats)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores of a batch of images."""
        return self.run(x)

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run the steps from number `start` up to, not including, number `stop`."""
        for run in self._runs[start:stop]:
            x = run(x)
        return x

    def _bound(self) -> tuple[Callable[[Tensor], Tensor], ...]:
        """Return the steps with their modules, which are looked up by name once an epoch and not in each step."""
        return tuple(step.bound(self.model) for step in self.steps)

    @property
    def head_start(self) -> int:
        """The number of the head's first step; what it takes are the features of an image."""
        return next(number for number, step in enumerate(self.steps) if step.stage == "head")

    def frozen_prefix(self) -> int:
        """Return the number of leading steps without trainable parameters, whose output for an image never changes."""
        for number, step in enumerate(self.steps):
            # A frozen step may contain an inserted module, which trains.
            trains = any(parameter.requires_grad for _, parameter in self.parameters_of(step))
            if step.name not in self.frozen_steps or trains:
                return number
        return len(self.steps)

    def stages(self) -> list[tuple[str, list[Step]]]:
        """Return the steps grouped by stage, in order; a stage with attention inside appears more than once."""
        return [(name, list(steps)) for name, steps in groupby(self.steps, key=lambda step: step.stage)]

    def parameters_of(self, step: Step) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters of one step with torchvision's names."""
        for name, parameter in self.model.named_parameters():
            if step.holds(name):
                yield name, parameter

    def inserted_modules(self) -> Iterator[nn.Module]:
        """Yield the attention modules."""
        for name in self.inserted:
            yield self.model.get_submodule(name)

    @torch.no_grad()
    def attention_maps(self, x: Tensor) -> dict[str, dict[str, Tensor]]:
        """Return the weights of each attention module in eval mode, for pictures.

        Args:
            x: images (N, 3, S, S).

        Returns:
            By module name, its `maps`: `channel` (N, C), `position` (N, H, W), `channel_position` (N, C, H, W).
        """
        maps: dict[str, dict[str, Tensor]] = {}

        def record(name: str) -> Callable[..., None]:
            return lambda module, inputs: maps.__setitem__(name, module.maps(*inputs))

        # Pre-hooks, since `maps` takes the module's input.
        hooks = [
            module.register_forward_pre_hook(record(name))
            for name, module in zip(self.inserted, self.inserted_modules(), strict=True)
        ]
        mode = self.training
        try:
            self.eval()(x)
        finally:
            self.train(mode)
            for hook in hooks:
                hook.remove()
        return maps

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by group: pre-trained `backbone`, inserted `attention`, and `head`."""
        groups: dict[str, list[nn.Parameter]] = {"backbone": [], "attention": [], "head": []}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                group = self._group(name)
                groups[group if group in groups else "backbone"].append(parameter)
        return groups

    def groups_by_stage(self) -> dict[str, list[nn.Parameter]]:
        """Return the same, but those of the backbone by its stages, in order; attention and head are the last two."""
        names = list(dict.fromkeys(step.stage for step in self.steps if step.stage not in ("attention", "head")))
        groups: dict[str, list[nn.Parameter]] = {name: [] for name in (*names, "attention", "head")}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                groups[self._group(name)].append(parameter)
        return groups

    def _group(self, parameter: str) -> str:
        """Return `attention` for a parameter of an inserted module, else the stage that it is of."""
        if any(parameter.startswith(f"{module}.") for module in self.inserted):
            return "attention"
        return next(step.stage for step in self.steps if step.holds(parameter))


def _set_modes(
    model: nn.Module, mode: bool, frozen: Set[nn.Module], inserted: Set[nn.Module], *, freeze_bn_stats: bool
) -> None:
    """Set the mode of a model's modules: `mode`, but eval mode in `frozen`, though not in what was inserted there.

    One walk, which changes only what differs: two of torch's own may take longer than an epoch on cached features.
    """

    def visit(module: nn.Module, trains: bool, keeps_stats: bool) -> None:
        if module in inserted:
            trains, keeps_stats = mode, False
        elif module in frozen or (keeps_stats and isinstance(module, _BatchNorm)):
            trains = False
        if type(module).train is not nn.Module.train:
            # Some of timm's drop there what they computed from the weights of before.
            module.train(mode)
        if module.training != trains:
            module.training = trains
        for child in module._modules.values():
            if child is not None:
                visit(child, trains, keeps_stats)

    visit(model, mode, freeze_bn_stats)
