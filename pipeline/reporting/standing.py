"""Where an experiment stands against its own backbone's frozen probe, in words: pure."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from pipeline.core.choices import NONE
from pipeline.evaluation.compare import comparison, pairs
from pipeline.evaluation.compare.experiments import Experiment, Pair, Trial
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.compare.statistics import Interval
from pipeline.networks.strategies import HEAD
from pipeline.reporting import aggregate, confidence_intervals, tables
from pipeline.reporting.material import Material, Probe

PROBE = "a logistic regression on the features of its frozen backbone"


class Standing(NamedTuple):
    """An experiment beside the probe.

    Attributes:
        probe: the probe's mean accuracy over the repeats.
        pair: the experiment less the probe.
        remark: what is unusual about how the probe's strength was chosen; empty where nothing is.
    """

    probe: float
    pair: Pair
    remark: str = ""


def standing(repeats: Sequence[Repeat], probes: Mapping[int, Probe]) -> Standing | None:
    """Return the comparison over the repeats that have a probe; None where none has."""
    having = [one for one in repeats if one.number in probes and probes[one.number].right]
    if not having:
        return None
    own = confidence_intervals.experiment("fine-tuning", having)
    trials = {one.number: _trial(one, probes[one.number]) for one in having}
    other = Experiment("the frozen probe", trials, redraws=own.redraws)
    [pair] = comparison.compare([own, other], resample=False).pairs
    mean = fmean(fmean(trial.right.values()) for trial in trials.values())
    return Standing(mean, pair, next(filter(None, (probes[one.number].remark for one in having)), ""))


def _trial(one: Repeat, probe: Probe) -> Trial:
    return Trial(probe.right, one.record.parts.train, groups=confidence_intervals.groups(one.predictions))


def row(material: Material) -> list[tuple[str, str]]:
    """Return the probe's accuracy, as (term, description)."""
    found = standing(material.repeats, material.probes)
    return [("frozen backbone, logistic regression", tables.percent(found.probe))] if found else []


def sentence(material: Material) -> str | None:
    """Return what training is worth beside the probe; None where nothing is known of one."""
    found = standing(material.repeats, material.probes)
    if found is None:
        reasons = sorted({one.reason for one in material.probes.values() if one.reason})
        return f"There is no frozen probe to compare with: {reasons[0]}." if reasons else None
    said = words(found, material.repeats)
    return said[0].upper() + said[1:]


def words(found: Standing, repeats: Sequence[Repeat]) -> str:
    """Return what training is worth beside the probe, and what may be why, as words that go on in a sentence."""
    what = "the trained head" if _is_head_alone(repeats) else "fine-tuning"
    remark = f"{found.remark[:1].upper()}{found.remark[1:]}." if found.remark else ""
    if aggregate.is_probe(repeats):
        # Both are solved on the same features, with other strengths; what training may lack does not apply.
        return f"the solved head {_verdict(found)} {remark}".strip()
    return " ".join(filter(None, [what, _verdict(found), _why(repeats, found), remark]))


def _verdict(found: Standing) -> str:
    pair, ends = found.pair, _ends(found)
    probe = f"{PROBE} ({tables.percent(found.probe)}), which trains no layer"
    seeds = "; other seeds are not tried" if pair.test is None else ""
    if pair.verdict == pairs.EQUAL:
        return f"differs by {_points(pair.difference)} points from {probe}: {pairs.EQUAL}."
    if ends is None or pair.better is None:
        spans = "" if ends is None else f" ({_points(ends.low)} to {_points(ends.high)})"
        return f"has no detectable difference from {probe}: {_points(pair.difference)} points{spans}{seeds}."
    if pair.difference > 0:
        return f"adds {_points(ends.low, pair.difference, ends.high)} to {probe}{seeds}."
    return f"is {_points(-ends.high, -pair.difference, -ends.low)} below {probe}{seeds}."


def _why(repeats: Sequence[Repeat], found: Standing) -> str:
    """Return why training may have cost accuracy, where it did; empty elsewhere."""
    ends, train = _ends(found), repeats[0].record.recipe.train
    if ends is None or not ends.high < 0:
        return ""
    given = f"{train.budget.amount:,} {train.budget.unit} at {train.lr:g}"
    if _is_head_alone(repeats):
        return f"Both read the same features: the head's training falls short, for its budget or its rate, now {given}."
    return f"So training took away more than it gave: fewer layers, or other than {given}, may do better."


def _ends(found: Standing) -> Interval | None:
    """Return the interval of the difference; None where all repeats have the same."""
    return confidence_intervals.of_difference(found.pair.interval())


def _is_head_alone(repeats: Sequence[Repeat]) -> bool:
    """Return whether training reads the very features that the probe reads."""
    network = repeats[0].record.recipe.network
    return network.freeze == HEAD and network.attention == NONE


def _points(*values: float) -> str:
    """Return a difference in points, or its lower end, itself and its upper end.

    >>> _points(0.031), _points(0.01, 0.031, 0.052)
    ('3.1', '3.1 points (1.0 to 5.2)')
    """
    if len(values) == 1:
        return f"{100 * values[0]:z.1f}"
    low, middle, high = (f"{100 * value:z.1f}" for value in values)
    return f"{middle} points ({low} to {high})"
