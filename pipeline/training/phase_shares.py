"""How many steps each phase has, and which phases share a schedule."""

from collections.abc import Sequence

from pipeline.training import optim
from pipeline.training.contract import Examples, PhasePlan


def steps(examples: Examples, settings: optim.LoopSettings, amount: int) -> int:
    """Return the number of steps of a phase of this length, in the budget's unit."""
    images, unit = len(examples.train), settings.budget.unit
    return optim.total_steps(unit=unit, amount=amount, images=images, batch_size=settings.batch_size)


def share(phases: Sequence[PhasePlan], steps: Sequence[int], number: int) -> tuple[list[int], int]:
    """Return the steps of all phases that have one schedule with this phase, and its index among them."""
    first = next(n for n in range(number, -1, -1) if n == 0 or not phases[n].continues)
    end = next((n for n in range(number + 1, len(phases)) if not phases[n].continues), len(phases))
    return list(steps[first:end]), number - first
