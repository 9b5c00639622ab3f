"""From a recipe to the settings of the training loop."""

from dataclasses import replace

from pipeline.core.recipe import Recipe
from pipeline.core.types import Budget
from pipeline.training.optim import LoopSettings


def loop_settings(recipe: Recipe) -> LoopSettings:
    """Return the settings of the loop."""
    train = recipe.train
    return LoopSettings(
        budget=train.budget,
        batch_size=train.batch_size,
        optimizer=train.optimizer,
        optimizer_options=recipe.options_of("optimizer", train.optimizer),
        lr=train.lr,
        weight_decay=train.weight_decay,
        schedule=train.schedule,
        schedule_options=recipe.options_of("schedule", train.schedule),
        precision=train.precision,
        feature_cache_mb=train.feature_cache_mb,
    )


def head_settings(recipe: Recipe) -> LoopSettings:
    """Return the settings of a training of the head alone, those of the method `l2_fe` in the same recipe."""
    own = recipe.options_of("regularizer", "l2_fe")
    return replace(
        loop_settings(recipe),
        budget=Budget(**own["budget"]),
        weight_decay=own["weight_decay"],
        schedule=own["schedule"],
        schedule_options=recipe.options_of("schedule", own["schedule"]),
    )
