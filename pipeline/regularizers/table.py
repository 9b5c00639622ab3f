"""The methods that keep a network near the pre-trained one, one row each; imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.core.choices import Choice, load

if TYPE_CHECKING:
    from pipeline.regularizers.contract import Regularizer


@dataclass(frozen=True, kw_only=True)
class Method(Choice):
    """One method, a sequence of two methods, or none.

    Attributes:
        module: "module:Class", called with the arguments in `needs` and the method's options, all by keyword; empty
            for none and for a sequence.
        needs: arguments other than options: `shapes`, (C, H, W) by layer, to compare feature maps; `network`, with the
            values at the start of training, and `inserted`, its modules without pre-trained values; `head`, the
            classifier's name; `channel_weights` by layer.
        needs_pretrained: whether the method has a meaning only with pre-trained weights.
        sequences: by value of the option `order`, the two methods, each of which trains for half of the budget.
        trains_head_alone: whether the method freezes everything but the head.
        head_trained_by: the method whose options configure training of the head before the main training; empty where
            the head is not trained beforehand.
    """

    module: str = ""
    needs: tuple[str, ...] = ()
    needs_pretrained: bool = True
    sequences: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    trains_head_alone: bool = False
    head_trained_by: str = ""

    @property
    def make(self) -> "Callable[..., Regularizer]":
        """The method's class; reading this imports torch."""
        module: Callable[..., Regularizer] = load(self.module)
        return module


# Options of a method that replace the settings of the same name in `train`.
TRAIN_OVERRIDES = ("weight_decay", "budget", "schedule")
_MAPS = ("shapes", "head")

METHODS: dict[str, Method] = {
    "none": Method(
        title="none",
        description="no regularizer",
        needs_pretrained=False,
    ),
    "l2": Method(
        title="L2",
        description="weight decay on all parameters",
        options="pipeline.regularizers.options:MethodOptions",
        module="pipeline.regularizers.l2:L2",
        needs_pretrained=False,
    ),
    "l2_fe": Method(
        title="L2-FE",
        description="feature extraction: only the head trains, with weight decay and its own budget and schedule",
        options="pipeline.regularizers.options:L2FeOptions",
        module="pipeline.regularizers.l2_fe:L2FE",
        trains_head_alone=True,
    ),
    "l2_sp": Method(
        title="L2-SP",
        description="keeps the layers' weights, or all parameters except the head's, near the pre-trained ones",
        options="pipeline.regularizers.options:L2SpOptions",
        module="pipeline.regularizers.l2_sp:L2SP",
        needs=("network", "inserted", "head"),
    ),
    "delta": Method(
        title="DELTA",
        description="keeps feature maps near the pre-trained ones; weighs channels by the loss without their filter",
        options="pipeline.regularizers.options:DeltaOptions",
        module="pipeline.regularizers.delta:Delta",
        needs=(*_MAPS, "channel_weights"),
        head_trained_by="l2_fe",
    ),
    "ast": Method(
        title="AST",
        description="keeps feature maps near the pre-trained ones; weighs positions by the pre-trained network",
        options="pipeline.regularizers.options:PositionOptions",
        module="pipeline.regularizers.ast:AST",
        needs=_MAPS,
    ),
    "act": Method(
        title="ACT",
        description="keeps feature maps near the pre-trained ones; weighs channels by the pre-trained network",
        options="pipeline.regularizers.options:ChannelOptions",
        module="pipeline.regularizers.act:ACT",
        needs=_MAPS,
    ),
    "afa": Method(
        title="AFA",
        description="AST for half of the budget, then ACT from its end",
        options="pipeline.regularizers.options:AfaOptions",
        sequences={"ast_act": ("ast", "act")},
    ),
    "spa": Method(
        title="SPA",
        description="keeps feature maps near the pre-trained ones; weighs positions by both networks",
        options="pipeline.regularizers.options:SpaOptions",
        module="pipeline.regularizers.spa:SPA",
        needs=_MAPS,
    ),
    "gca": Method(
        title="GCA",
        description="keeps feature maps near the pre-trained ones; weighs channels of all depths together",
        options="pipeline.regularizers.options:GcaOptions",
        module="pipeline.regularizers.gca:GCA",
        needs=_MAPS,
    ),
    "spa_gca": Method(
        title="SPA-GCA",
        description="SPA for half of the budget, then GCA, or in the reverse order",
        options="pipeline.regularizers.options:SpaGcaOptions",
        sequences={"spa_gca": ("spa", "gca"), "gca_spa": ("gca", "spa")},
    ),
}
