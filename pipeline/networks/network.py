"""A network as an ordered list of stages over one torchvision model."""

from collections.abc import Iterator

from torch import Tensor, nn

from pipeline.networks.backbones import Stage


class Network(nn.Module):
    """A torchvision model that can be run in parts.

    Parameters keep torchvision's names in `model`; `model.state_dict()` is what files hold.

    Attributes:
        model: the torchvision model, its classifier replaced by our head.
        stages: what `forward` runs, in order.
        frozen_stages: the names of the stages that do not train (set by `freezing.freeze`).

    Shape:
        Input (N, 3, S, S), normalised as ImageNet; output (N, K) class scores.
    """

    def __init__(self, model: nn.Module, stages: tuple[Stage, ...]) -> None:
        super().__init__()
        self.model = model
        self.stages = stages
        self.frozen_stages: frozenset[str] = frozenset()

    def train(self, mode: bool = True) -> "Network":
        """Train mode for what trains, eval mode for frozen stages however often this is called.

        A batch norm in a frozen stage normalises by its pre-trained statistics, and they never move.
        """
        super().train(mode)
        for stage in self.stages:
            if stage.name in self.frozen_stages:
                for module in self.modules_of(stage):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Class scores of a batch of images."""
        return self.run(x)

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run the stages from number `start` up to, not including, number `stop`."""
        for stage in self.stages[start:stop]:
            x = stage.run(self.model, x)
        return x

    def frozen_prefix(self) -> int:
        """How many stages at the beginning nothing trains in, so that their output for an image never changes."""
        for number, stage in enumerate(self.stages):
            if stage.name not in self.frozen_stages and any(True for _ in self.parameters_of(stage)):
                return number
        return len(self.stages)

    def parameters_of(self, stage: Stage) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters of one stage with torchvision's names."""
        for child in stage.children:
            for name, parameter in self.model.get_submodule(child).named_parameters():
                yield f"{child}.{name}", parameter

    def modules_of(self, stage: Stage) -> Iterator[nn.Module]:
        """The top modules of one stage."""
        for child in stage.children:
            yield self.model.get_submodule(child)
