"""The training of a recipe's network on the rows that it is given."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor

from pipeline.assembly import head_solution
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.loss_terms import loss_terms
from pipeline.assembly.machine import Machine
from pipeline.assembly.resumption import NOT_KEPT, Resumption
from pipeline.assembly.training_plan import as_user_error, training_examples, training_plan
from pipeline.assembly.transforms import eval_transform, train_transform
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.manifest import Alike
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks import low_rank
from pipeline.networks.network import Network
from pipeline.training import contract, loop
from pipeline.training.resuming import NOTHING_KEPT, Keeper


def run(
    recipe: Recipe,
    network: Network,
    data: Packed,
    parts: Mapping[str, Tensor],
    record: Record,
    *,
    on: Machine,
    on_epoch: Callable[[contract.Row], object],
    alike: Sequence[Alike] = (),
    keeping: Resumption = NOT_KEPT,
    keeper: Keeper = NOTHING_KEPT,
) -> contract.TrainResult:
    """Run the loop on the training part, from its last checkpoint where there is one.

    Args:
        recipe: the settings.
        network: as it starts; it is trained in place, and low-rank updates are merged at the end.
        data: the packed set.
        parts: rows by part, of which `train` and `val` are read.
        record: of this run.
        on: where it trains.
        on_epoch: called with each row of the history.
        alike: groups of copies among the images, which a solved head's cross-validation does not divide.
        keeping: how the state of the loss terms' own computations is kept.
        keeper: of the training's state.

    Raises:
        InputError: for early stop without a validation part, before anything is computed; for a loss that is not
            finite, naming epoch, step and the batch's files; for a GPU or main memory without room, naming the batch's
            size.
    """
    if recipe.train.early_stop and not len(parts["val"]):
        raise InputError(
            f"train.early_stop: {recipe.train.early_stop} needs a validation part, but there is none; set "
            "data.split.val to 0.2, say, add a folder val, or set this to 0"
        )
    examples = partial(training_examples, data, parts, on.device)
    eval_examples = partial(examples, eval_transform(recipe.data.sizes))
    try:
        terms = loss_terms(
            recipe, network, record, data_sha256=data.sha256, eval_examples=eval_examples, keeping=keeping
        )
        solve = partial(_solve_head, recipe, network, eval_examples, data, alike)
        result = loop.fit(
            network,
            examples(train_transform(recipe)),
            loop_settings(recipe),
            seed=record.seed,
            plan=training_plan(recipe, network, terms, solve_head=solve),
            on_epoch=on_epoch,
            keeper=keeper,
        )
        low_rank.merge(network)
        return result
    except (ValueError, contract.NotFiniteError, RuntimeError, MemoryError) as error:
        described = as_user_error(error, recipe, data)
        if described is error:
            raise
        raise described from None


def _solve_head(
    recipe: Recipe,
    network: Network,
    eval_examples: Callable[[], contract.Examples],
    data: Packed,
    alike: Sequence[Alike],
    on_batch: Callable[[], object],
) -> None:
    train, examples = recipe.train, eval_examples()
    head_solution.solve(
        network,
        examples,
        groups.numbered([data.paths[row] for row in examples.train.tolist()], alike),
        balanced=train.class_weights == "balanced" or train.sampler == "weighted",
        batch_size=train.batch_size,
        precision=train.precision,
        on_batch=on_batch,
    )
