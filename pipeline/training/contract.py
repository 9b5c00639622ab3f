"""The arguments and the result of a training: networks, loss terms, examples, phases."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from pipeline.training.features import Runnable
from pipeline.training.images import Images

Row = dict[str, float]


class Trainable(Runnable, Protocol):
    """A network that runs step by step and trains; its frozen parts stay in eval mode by themselves."""

    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def groups(self) -> Mapping[str, list[nn.Parameter]]: ...
    def state_dict(self) -> Mapping[str, Tensor]: ...
    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> Any: ...


class LossTerm(Protocol):
    """A term of the loss that needs more of the forward pass than the scores.

    It compares the feature maps of a frozen reference network with those of the network that trains. Both start from
    the output of the frozen prefix, which is the same in both.
    """

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the term's own parameters; they train with the network's."""

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        """Return the reference's tensors by name, each (N, ...), for the input of step number `start`."""

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return class scores (N, K) of the network that trains, and the scalars to add to the loss by name."""

    def diagnosis(self) -> dict[str, Tensor]:
        """Return diagnostics of the last batch by name, scalars on the device; names contain a slash."""

    def state(self) -> dict[str, Any]:
        """Return the term's own values and the reference's, as `load_state` of a new one takes them."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned."""


@dataclass(frozen=True)
class Examples:
    """Training and validation rows of the packed array.

    Attributes:
        images: batches by row number.
        labels: class numbers (N,) of all rows.
        train: the rows to train on (n,).
        val: the validation rows (m,), possibly none.
    """

    images: Images
    labels: Tensor
    train: Tensor
    val: Tensor


# Takes what it calls before each batch of its own, which may raise to stop.
Prepare = Callable[[Callable[[], object]], object]


def as_it_is(_on_batch: Callable[[], object]) -> None:
    """Leave the network as it is when a phase begins."""


@dataclass(frozen=True)
class PhasePlan:
    """A phase with its callables: a part of the budget with an optimizer and a schedule of its own.

    Attributes:
        amount: length in the budget's unit.
        lr: the first learning rate.
        start: called before the phase; freezes the layers that it does not train.
        prepare: called after `start` where the phase begins, not where it is taken up again; may change values.
        loss_term: called after `start`; builds the loss term, or returns None.
        continues: whether the previous phase's schedule goes on; the optimizer is new in either case.
    """

    amount: int
    lr: float
    start: Callable[[], object] = lambda: None
    prepare: Prepare = as_it_is
    loss_term: Callable[[], LossTerm | None] = lambda: None
    continues: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """Phases, rates by group of parameters, and sampling.

    Attributes:
        phases: in order; if empty, one phase over the whole budget at the settings' learning rate.
        lr_factors: the factor of the learning rate, by group of parameters.
        sampler: `shuffle`, every image once per epoch; `weighted`, as many draws with replacement, each class with the
            same probability.
        class_weights: `none`, or `balanced`: the weight n / (K n_k) for an image of class k; the loss is the mean of
            the weighted terms.
        groups: returns the parameters that train by group, in place of the network's own three groups.
        label_smoothing: e, see `losses.cross_entropy`; validation has none.
        mixup: the parameter of Mixup's Beta distribution; 0 for none.
        cutmix: likewise of CutMix.
        weight_ema: the decay of the average of the weights, which each phase ends with, see `averaging`; 0 for none.
        early_stop: epochs without a lower validation loss after which the last phase ends, with the weights of its best
            epoch; 0 for never.
    """

    phases: tuple[PhasePlan, ...] = ()
    lr_factors: Mapping[str, float] = field(default_factory=dict)
    sampler: str = "shuffle"
    class_weights: str = "none"
    groups: Callable[[], Mapping[str, list[nn.Parameter]]] | None = None
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    weight_ema: float = 0.0
    early_stop: int = 0


@dataclass
class TrainResult:
    """History and timings of one `fit`.

    Attributes:
        history: one row per epoch: epoch, iteration, lr, train_loss (the cross entropy alone), train_accuracy (of mixed
            images, those whose larger part's label is predicted); then
            `train_NAME` for each scalar of the loss term, and its diagnostics of the epoch's last batch; with
            validation rows, val_loss and val_accuracy. Losses are means over images, accuracies fractions.
        seconds: wall time of the whole call.
        cache_seconds: wall time of filling caches; 0 without a cache.
        epoch_seconds: wall time of each epoch without validation.
        images_trained: number of images in all optimizer steps, repeated images counted each time.
    """

    history: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    cache_seconds: float = 0.0
    epoch_seconds: list[float] = field(default_factory=list)
    images_trained: int = 0


class NotFiniteError(Exception):
    """Error of a loss that is not a finite number.

    Attributes:
        epoch: counted from 1.
        step: within the epoch, counted from 1.
        rows: the batch's rows of the packed array.
    """

    def __init__(self, epoch: int, step: int, rows: list[int]) -> None:
        super().__init__(f"the loss is not finite in epoch {epoch}, step {step}")
        self.epoch, self.step, self.rows = epoch, step, rows
