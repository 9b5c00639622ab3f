"""Axes that other values keep their ratio to: a size of images, a learning rate, a budget."""

from pipeline.config.layers import Layers
from pipeline.config.schema import Axes
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.core.sections import PHASES
from pipeline.networks.backbones.table import known

# They scale what depends on them, and so come after the regularizer's own word on the training.
AXES = ("image_size", "lr", "budget")


def scale(axes: Axes, layers: Layers) -> None:
    """Put in the axes that other values keep their ratio to."""
    if isinstance(axes.image_size, int):
        _scale_sides(axes.image_size / layers.get("data.image_size"), layers, "image_size")
    elif (side := known(layers.get("network.backbone")).side) and layers.get("data.input_size") == AUTO:
        _take_side(side, layers)
    if isinstance(axes.lr, float):
        phases = layers.get("train.phases")
        # Exactly 1 where the axis is the recipe's own rate, so that spelling it out changes nothing.
        factor = axes.lr / phases[0]["lr"] if phases else 1.0
        layers.values["train"]["phases"] = [
            {**phase, "lr": axes.lr if number == 0 else phase["lr"] * factor} for number, phase in enumerate(phases)
        ]
        layers.set("train.lr", axes.lr, "lr")
    if isinstance(axes.budget, int):
        phases = layers.get("train.phases")
        if layers.get("network.freeze") == PHASES:
            amounts = shares([phase["amount"] for phase in phases], axes.budget)
            layers.values["train"]["phases"] = [
                {**phase, "amount": amount} for phase, amount in zip(phases, amounts, strict=True)
            ]
        layers.set("train.budget.amount", axes.budget, "budget")


def _take_side(side: int, layers: Layers) -> None:
    """Put in the side that a backbone was trained at: the crop has it, and other sides keep their ratio to the crop."""
    image, crop = layers.get("data.image_size"), layers.get("data.crop_size")
    _scale_sides(side / (image if crop == AUTO else crop), layers, layers.origin("network.backbone"))


def _scale_sides(ratio: float, layers: Layers, origin: str) -> None:
    for name in ("data.image_size", "data.crop_size", "data.crop_padding"):
        if layers.get(name) not in (AUTO, 0):
            layers.set(name, round(layers.get(name) * ratio), origin)


def shares(amounts: list[int], total: int) -> list[int]:
    """Return whole amounts in the ratio of others, that add up to a total.

    Raises:
        InputError: for a total that leaves a phase without any.

    >>> shares([10, 40], 8), shares([1, 1, 1], 4)
    ([2, 6], [2, 1, 1])
    """
    if total < len(amounts):
        raise InputError(
            f"{paths.PARAMS}: budget: {total} is too small for {len(amounts)} phases; give at least {len(amounts)}"
        )
    exact = [total * amount / sum(amounts) for amount in amounts]
    whole = [max(1, int(amount)) for amount in exact]
    # What rounding down left over goes to the largest remainders; what rounding up took comes from the largest.
    while sum(whole) < total:
        whole[max(range(len(whole)), key=lambda n: exact[n] - whole[n])] += 1
    while sum(whole) > total:
        whole[max((n for n in range(len(whole)) if whole[n] > 1), key=lambda n: whole[n] - exact[n])] -= 1
    return whole
