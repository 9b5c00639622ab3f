"""Measurements of `orbweaver describe`: time of the training on this device, and what attention changes at step 0."""

from dataclasses import replace
from statistics import fmean

import torch

from pipeline.assembly import duration, networks
from pipeline.assembly.duration import PartSizes
from pipeline.assembly.machine import machine
from pipeline.config import Resolved
from pipeline.core import seeding
from pipeline.core.choices import NONE
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.datasets.collect import sets
from pipeline.evaluation.feature_change import feature_change
from pipeline.networks.attention import start
from pipeline.networks.build import Plan, build
from pipeline.networks.network import Network
from pipeline.preview import at_hand, refusals
from pipeline.training import contract

# Of which the change at step 0 is the mean.
REPEATS = 3


def measured(resolved: Resolved, classes: int, images: int | None) -> list[str]:
    """Return the time of a repeat and of all, and what attention changes, a line each.

    Args:
        resolved: the experiment.
        classes: K.
        images: how many to train on; None for as many as the data has.
    """
    return [training_time(resolved, classes, images), *attention_at_start(resolved, classes)]


def training_time(resolved: Resolved, classes: int, images: int | None) -> str:
    """Return the time of a repeat and of all, or why it is not known."""
    recipe = resolved.recipe
    sizes = PartSizes(images, 0) if images else at_hand.part_sizes(resolved, classes)
    if sizes is None or not sizes.train:
        return "training time: say how many images there are to train on, with --images"
    try:
        refusals.check_machine(recipe)
        on = machine(recipe)
        # The time does not depend on values.
        network = build(networks.plan(recipe, classes=classes), pretrained=None).to(on.device)
        seconds = duration.seconds_a_repeat(recipe, network, sizes, classes=classes, on=on)
    except (InputError, RuntimeError, ValueError, contract.NotFiniteError) as error:
        return f"training time: not measured: {str(error).partition(chr(10))[0]}"
    estimate = duration.sentence(seconds, len(recipe.repeats))
    # Of a folder files are counted, of which some may be damaged.
    up_to = "up to " if not images and sets.known(recipe.data.set).given_by == "folder" else ""
    return f"{estimate}, with {up_to}{counted(sizes.train, 'image')} to train on, as measured on this {on.device.type}"


def attention_at_start(resolved: Resolved, classes: int) -> list[str]:
    """Return how far attention moves what the head reads before training; nothing without it or pre-trained values."""
    recipe, plan = resolved.recipe, networks.plan(resolved.recipe, classes=classes)
    if NONE in (plan.attention, recipe.network.weights):
        return []
    values = at_hand.pretrained(resolved)
    if values is None:
        return ["what attention changes at step 0: the pre-trained weights are not on this machine yet"]
    images, kind = at_hand.some_images(recipe)

    def network(planned: Plan, repeat: int) -> Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.derive("network", repeat))
            return build(planned, pretrained=values)

    # Attention's own values are random, and differ by the repeat.
    repeats = recipe.repeats[:REPEATS]
    plain = network(replace(plan, attention=NONE, attention_options={}), repeats[0])
    changes = [feature_change(network(plan, repeat), plain, images) for repeat in repeats]
    low, high = min(change.low for change in changes), max(change.high for change in changes)
    mean = fmean(change.mean for change in changes)
    sentence = f"attention changes what the head reads at step 0 by {mean:.0%}"
    sentence += f" ({low:.0%} to {high:.0%}; {len(images)} {kind}, repeats {', '.join(map(str, repeats))})"
    if plan.attention_options.get("gate_init") == start.PAPER:
        options = {**plan.attention_options, "gate_init": start.IDENTITY}
        other = feature_change(network(replace(plan, attention_options=options), repeats[0]), plain, images)
        key = resolved.origin(f"options.attention.{plan.attention}.gate_init")
        sentence += f"; with -S {key}={start.IDENTITY} by {other.mean:.0%}"
    return [sentence]
