"""The choices of an advice before its trials, by frozen features alone: an image size, and two backbones of many."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.advice import backbone_words, candidates, image_sizes, size_words
from pipeline.advice.backbones import KEPT, Frozen
from pipeline.advice.image_sizes import OPTION, Sized
from pipeline.commands import frozen_bank
from pipeline.commands.frozen_bank import Budget
from pipeline.config import Resolved
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.overrides import override
from pipeline.networks.backbones import table
from pipeline.preview import at_hand
from pipeline.preview.frozen_backbones import Asked
from pipeline.preview.overriding import read

AXIS = "image_size"


class Ranking(NamedTuple):
    """The choices, and the seconds that they took.

    Attributes:
        words: what all trials set, the image size included, as after -S.
        seconds: that all of it took when it was computed, or is going to take where only its price is asked for.
        sizes: the image sizes, the smallest first; empty where there was nothing to choose.
        frozen: the backbones; empty where there was nothing to choose.
        next_step: a line where sizes were not tried and may be worth it; else "".
    """

    words: list[str]
    seconds: float
    sizes: Sequence[Sized] = ()
    frozen: Sequence[Frozen] = ()
    next_step: str = ""


def ranking(asked: Mapping[str, Asked], sides: str, words: Sequence[str], budget: Budget) -> Ranking:
    """Choose the image size by the first backbone, then the backbones at that size.

    Args:
        asked: the backbones that are named, by name; empty for the recipe's.
        sides: the option --sizes; "" for the recipe's image size alone.
        words: the experiment, as after -S.
        budget: what may be spent, and whether it is.

    Raises:
        InputError: for image sizes that are no choice, and for what cannot be measured.
    """
    sized = _by_size(asked, sides, words, budget) if sides else Ranking([*words], 0.0, next_step=_next_step(words))
    if len(asked) <= KEPT:
        return sized
    left = budget._replace(spent=sized.seconds)
    frozen, seconds = frozen_bank.compared(asked.values(), [*sized.words, *_division()], left)
    if frozen:
        budget.say(backbone_words.ranked(frozen))
        # The first one's features at the size that is taken are there already.
        seconds = sum(one.seconds for one in frozen if not sides or one.name != next(iter(asked)))
    else:
        names = " and ".join(list(asked)[:KEPT])
        budget.say([f"priced are {names}; which two are tried is chosen by the features of all"])
    return sized._replace(frozen=frozen, seconds=sized.seconds + seconds)


def _by_size(asked: Mapping[str, Asked], sides: str, words: Sequence[str], budget: Budget) -> Ranking:
    """Return the sizes as they were ranked, with the chosen one in the words of the trials."""
    resolved = resolved_by_side(sides, [*words, *_division()], list(asked))
    one = next(iter(asked.values())) if asked else own(read(words), words)
    largest = max(resolved)
    budget.say(_enlarged(largest, at_hand.shorter_side(resolved[largest])))
    listed = {str(side): (one, each) for side, each in resolved.items()}
    results, seconds = frozen_bank.measured("image sizes", listed, budget)
    sizes = [
        Sized(side, each.recipe.data.input_size**2, *frozen_bank.estimated(result))
        for (side, each), result in zip(resolved.items(), results, strict=bool(results))
    ]
    if sizes:
        budget.say(size_words.lines(sizes))
        return Ranking([*words, f"{AXIS}={image_sizes.chosen(sizes).side}"], sum(size.seconds for size in sizes), sizes)
    budget.say([f"priced is image size {largest}, the dearest; which one is taken is chosen by the features at each"])
    return Ranking([*words, f"{AXIS}={largest}"], seconds)


def _division() -> list[str]:
    """Return the words of the division whose training part is divided again for the trials."""
    return [override(key, value) for key, value in candidates.outer(1).items()]


def resolved_by_side(sides: str, words: Sequence[str], backbones: Sequence[str]) -> dict[int, Resolved]:
    """Return the experiment at each image size of the option, the smallest first.

    Args:
        sides: the option --sizes.
        words: the experiment, as after -S.
        backbones: by name, all of which have to take each size; empty for the recipe's.

    Raises:
        InputError: for what is no size, is there twice, or is not taken by a backbone, and for a size in the words.
    """
    if word := _size_among(words):
        raise InputError(f"-S {word}: {OPTION} has image sizes to choose from; give either")
    by_side: dict[int, Resolved] = {}
    for text in (each.strip() for each in sides.split(",")):
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise InputError(f"{OPTION}: {text!r} is no whole number of pixels; give sizes like --sizes 96,160,224")
        if int(text) in by_side:
            raise InputError(f"{OPTION}: {int(text)} is there twice; give each image size once")
        by_side[int(text)] = _at(int(text), words, backbones)
    if len(by_side) < 2:
        raise InputError(
            f"{OPTION}: {sides} is one image size, and nothing to choose from; set it by -S {AXIS}={sides}"
        )
    return dict(sorted(by_side.items()))


def _at(side: int, words: Sequence[str], backbones: Sequence[str]) -> Resolved:
    try:
        resolved = read([*words, f"{AXIS}={side}"])
    except InputError as error:
        raise InputError(f"{OPTION}: {error}") from None
    for name in backbones or [resolved.recipe.network.backbone]:
        table.check_size(name, resolved.recipe.data.input_size, key=OPTION)
    return resolved


def _size_among(words: Sequence[str]) -> str:
    """Return the word that sets an image size, whatever recipe's; "" for none."""
    return next((word for word in words if word.partition("=")[0].rpartition(".")[2] == AXIS), "")


def own(resolved: Resolved, words: Sequence[str]) -> Asked:
    """Return the recipe's backbone with its weights.

    Raises:
        InputError: where the experiment has no pre-trained weights, whose features sizes are ranked by.
    """
    if resolved.settings.axes.weights == NONE:
        raise InputError(
            f"weights: none: {OPTION} ranks by the features of pre-trained weights; set -S {AXIS}= instead"
        )
    [one] = frozen_bank.asked(resolved.recipe.network.backbone, words).values()
    return one


def _enlarged(side: int, photographs: int | None) -> list[str]:
    """Return a note where the largest image size is larger than most photographs."""
    if photographs is None or side <= photographs:
        return []
    return [
        f"half of the photographs have {photographs:,} pixels or fewer on their shorter side; image size {side} "
        "enlarges them, which adds no detail"
    ]


def _next_step(words: Sequence[str]) -> str:
    """Return a line where larger images may be worth trying, wherever the size is set; else ""."""
    resolved = read(words)
    return image_sizes.next_step(
        resolved.recipe.data.image_size, at_hand.shorter_side(resolved), instead=_size_among(words)
    )
