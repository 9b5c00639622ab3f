"""How strong should a regularizer's term be? Accuracy by method and alpha, on the cuts that the advice is tried on.

    REAL_DATA=/data/real python benchmarks/strengths.py --per-class 20
    REAL_DATA=/data/real python benchmarks/strengths.py --methods delta --out benchmarks/results/strengths-delta.json

Everything trains, as in the candidate `spa_gca` of an advice: the bundled network at 96 pixels, recipe `quick`, without
augmentation. Only the inner divisions of a cut are used, so that its test part has no say. The plain training without
the term is in the table too. Results are means over the divisions of all sets, with the difference to the plain
training and the standard error of its mean over the sets and divisions. `delta` is measured in a run of its own, with
plain trainings of its own: its channel weights take about a minute for each division.
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from advice_images import SETS
from advice_table import REPEATS
from advice_trainings import HERE, WORDS, Sets, places, silent, workplace
from tqdm import tqdm

from pipeline.advice import candidates
from pipeline.core.overrides import override
from pipeline.core.recipe import Recipe
from pipeline.datasets.decoding.parallel import mapped
from pipeline.preview.overriding import read

# The methods that compare feature maps and weigh them by themselves, and their common strengths.
METHODS = ("spa", "gca", "act", "ast")
ALPHAS = (1e-2, 1e-3, 1e-4, 1e-5)
PLAIN = "none"
RESULT, DELTA_RESULT = HERE / "results/strengths.json", HERE / "results/strengths-delta.json"


class Trial(NamedTuple):
    """A training: a cut, a method with its strength, and the number of an inner division."""

    set: str
    per_class: int
    method: str
    alpha: float
    repeat: int


def recipe_of(one: Trial) -> Recipe:
    """Return the settings of a training."""
    words = [override(key, value) for key, value in candidates.inner(REPEATS).items()] + ["freeze=2"]
    if one.method != PLAIN:
        words += [f"regularizer={one.method}", f"options.regularizer.{one.method}.alpha.default={one.alpha:g}"]
    return read([*WORDS, *words]).recipe


def accuracy(sets: Sets, one: Trial) -> dict[str, Any]:
    """Return the training with its accuracy on the division's other images."""
    answers = silent(sets, recipe_of(one), one.set, one.per_class, repeat=one.repeat)
    return one._asdict() | {"accuracy": float(answers.right.mean()), "tested": len(answers.right)}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each method and strength, with its difference to the plain training on the same divisions."""
    plain = {(row["set"], row["repeat"]): row["accuracy"] for row in rows if row["method"] == PLAIN}
    result = []
    for method, alpha in dict.fromkeys((row["method"], row["alpha"]) for row in rows):
        of = [row for row in rows if (row["method"], row["alpha"]) == (method, alpha)]
        gains = [100 * (row["accuracy"] - plain[row["set"], row["repeat"]]) for row in of]
        by_set = {
            name: 100 * statistics.fmean(row["accuracy"] for row in of if row["set"] == name) for name, _ in plain
        }
        result.append(
            {
                "method": method,
                "alpha": alpha,
                **{name: round(value, 1) for name, value in by_set.items()},
                "gain": round(statistics.fmean(gains), 1),
                "standard_error": round(statistics.stdev(gains) / len(gains) ** 0.5, 1) if len(gains) > 1 else None,
                "n": len(gains),
            }
        )
    return result


def main() -> None:
    """Train all, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--sets", type=Path, default=SETS)
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--alphas", nargs="+", type=float, default=list(ALPHAS))
    arguments = parser.parse_args()
    sets = places(arguments.sets, parser)
    strengths = [(PLAIN, 0.0), *((method, alpha) for method in arguments.methods for alpha in arguments.alphas)]
    trials = [
        Trial(name, arguments.per_class, method, alpha, repeat)
        for method, alpha in strengths
        for name, _ in sets
        for repeat in range(1, REPEATS + 1)
    ]
    out = arguments.out.resolve()
    with workplace(WORDS), mapped(partial(accuracy, sets), trials) as rows:
        result = summary(list(tqdm(rows, "trainings", len(trials), disable=None)))
    for row in result:
        print(row)
    out.write_text(json.dumps({"per_class": arguments.per_class, "rows": result}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
