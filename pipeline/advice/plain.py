"""The answer as plain data, for JSON."""

import json
from typing import Any

from pipeline.advice import curve_words, size_words, tested_words
from pipeline.advice.answer import Answer, below_best, images_a_second, pair_of, summaries
from pipeline.advice.backbones import Frozen, best
from pipeline.evaluation.compare.experiments import Summary
from pipeline.reporting import aggregate, confidence_intervals


def as_json(answer: Answer) -> str:
    """Return the same as readable JSON; a NaN, which is no JSON, is a mistake of ours."""
    return json.dumps(as_data(answer), indent=2, ensure_ascii=False, allow_nan=False)


def as_data(answer: Answer) -> dict[str, Any]:
    """Return the same as plain data, accuracies from 0 to 1 and times in seconds."""
    advice, by_name, tested = answer.advice, summaries(answer), answer.tested.summary
    return {
        "recommended": advice.name,
        "meaning": answer.meaning,
        "best": advice.best,
        "close": advice.close,
        "tied": advice.tied,
        "command": answer.command,
        "best_command": answer.best_command or answer.command,
        "images": answer.images,
        "test": _plain(tested),
        "most_frequent_class": aggregate.majority_accuracy(answer.tested.repeats),
        "other_tests": answer.others,
        "frozen_probe": _probe(answer),
        "machines": advice.compared.machines,
        "backbones": [_backbone(one) | {"tried": one.name in best(answer.frozen)} for one in answer.frozen],
        "image_sizes": size_words.plain(answer.sizes),
        "next_step": answer.next_step,
        "inner": {
            name: _plain(by_name[name])
            | {
                "round": trial.round,
                "dropped": trial.round < answer.rounds,
                "seconds": trial.result.seconds().mean,
                "cost": answer.costs[name],
                "images_per_second": images_a_second(trial.result),
                "below_best": 0.0 if name == advice.best else below_best(advice, name),
                "p": None if name == advice.best else pair_of(advice, name).holm,
            }
            for name, trial in answer.trials.items()
        },
        "optimism": by_name[advice.name].mean - tested.mean,
        "learning_curve": {
            number: [{"images": one.images, "accuracy": one.accuracy} for one in points]
            for number, points in answer.points.items()
        },
        "gain": answer.gain and answer.gain._asdict(),
        "more_images": curve_words.sentence(answer),
    }


def _probe(answer: Answer) -> dict[str, Any] | None:
    """Return the test part's accuracy of the frozen probe, by how much training is above it, and what that means."""
    if (beside_probe := answer.tested.standing()) is None:
        return None
    pair = beside_probe.pair
    return {
        "accuracy": beside_probe.probe,
        "difference": pair.difference,
        "interval": confidence_intervals.of_difference(pair.interval()),
        "note": tested_words.probe(answer),
    }


def _backbone(one: Frozen) -> dict[str, Any]:
    low, high = one.interval or (None, None)
    return {"name": one.name, "accuracy": one.accuracy, "low": low, "high": high, "seconds": one.seconds}


def _plain(summary: Summary) -> dict[str, Any]:
    return {"n": summary.n, "accuracy": summary.mean, "sd": summary.sd, "interval": summary.interval}
