"""A network as an ordered list of steps over one torchvision model."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.networks.backbones.structure import Step


class Network(nn.Module):
    """A torchvision model that can be run in parts.

    Parameters keep torchvision's names in `model`; `model.state_dict()` is what files hold.

    Attributes:
        model: the torchvision model, its classifier replaced by our head, attention modules put in.
        steps: what `forward` runs, in order.
        added: the names of the modules that were put in; they train whatever is frozen around them.
        frozen_steps: the names of the steps that do not train (set by `freezing.freeze`).
        freeze_bn_stats: whether all batch norms keep their statistics, also those whose weights train.

    Shape:
        Input (N, 3, S, S), normalised as ImageNet; output (N, K) class scores.
    """

    def __init__(self, model: nn.Module, steps: Sequence[Step], added: Sequence[str] = ()) -> None:
        super().__init__()
        self.model = model
        self.steps = tuple(steps)
        self.added = tuple(added)
        self.frozen_steps: frozenset[str] = frozenset()
        self.freeze_bn_stats = False

    def train(self, mode: bool = True) -> "Network":
        """Train mode for what trains, eval mode for frozen steps however often this is called.

        A batch norm in a frozen step normalises by its pre-trained statistics, and they never move.
        """
        super().train(mode)
        frozen = [step for step in self.steps if step.name in self.frozen_steps]
        for name, module in self.model.named_modules():
            still = self.freeze_bn_stats and isinstance(module, _BatchNorm)
            if still or any(step.holds(name) for step in frozen):
                module.eval()
        for module in self.added_modules():
            module.train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Class scores of a batch of images."""
        return self.run(x)

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run the steps from number `start` up to, not including, number `stop`."""
        for step in self.steps[start:stop]:
            x = step.run(self.model, x)
        return x

    def frozen_prefix(self) -> int:
        """How many steps at the beginning nothing trains in, so that their output for an image never changes."""
        for number, step in enumerate(self.steps):
            trains = any(parameter.requires_grad for _, parameter in self.parameters_of(step))
            if step.name not in self.frozen_steps or trains:
                return number
        return len(self.steps)

    def stages(self) -> list[tuple[str, list[Step]]]:
        """The steps by stage, in order; a stage that attention modules interrupt comes in parts."""
        return [(name, list(steps)) for name, steps in groupby(self.steps, key=lambda step: step.stage)]

    def parameters_of(self, step: Step) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters of one step with torchvision's names."""
        for name, parameter in self.model.named_parameters():
            if step.holds(name):
                yield name, parameter

    def added_modules(self) -> Iterator[nn.Module]:
        """The attention modules."""
        for name in self.added:
            yield self.model.get_submodule(name)

    @torch.no_grad()
    def attention_maps(self, x: Tensor) -> dict[str, dict[str, Tensor]]:
        """What each attention module weighs its features with in eval mode, for a batch of images; for pictures.

        Args:
            x: images (N, 3, S, S).

        Returns:
            By the module's name, its `maps`: `channel` (N, C), `position` (N, H, W), `channel_position` (N, C, H, W).
        """
        found: dict[str, dict[str, Tensor]] = {}

        def note(name: str) -> Callable[..., None]:
            return lambda module, inputs: found.__setitem__(name, module.maps(*inputs))

        hooks = [
            module.register_forward_pre_hook(note(name))
            for name, module in zip(self.added, self.added_modules(), strict=True)
        ]
        mode = self.training
        try:
            self.eval()(x)
        finally:
            self.train(mode)
            for hook in hooks:
                hook.remove()
        return found

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """What trains, by what it is: the pre-trained `backbone`, inserted `attention`, and the `head`."""
        head = [step for step in self.steps if step.stage == "head"]
        found: dict[str, list[nn.Parameter]] = {"backbone": [], "attention": [], "head": []}
        for name, parameter in self.model.named_parameters():
            is_added = any(name.startswith(f"{module}.") for module in self.added)
            group = "attention" if is_added else "head" if any(step.holds(name) for step in head) else "backbone"
            if parameter.requires_grad:
                found[group].append(parameter)
        return found
