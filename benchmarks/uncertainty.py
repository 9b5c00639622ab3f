"""Whether prediction sets keep their promise on real photographs, and how well images of an unknown class are told.

    REAL_DATA=/data/real python benchmarks/uncertainty.py --out benchmarks/results

Features of `clothing10` by the bundled network, frozen, computed once; the head is a logistic regression on the 600
training photographs. Of the 713 others, some calibrate and the rest is tested, in --splits random divisions. How often
the coverage of the rest reaches the level is compared with what it should be: the coverage of an infinite rest is
Beta(k, n + 1 - k) given the n calibration images, that of a rest of m images is Beta-binomial. Then each class is left
out of the training in turn, and its photographs are to be told among the others by a score: the area under the ROC
curve.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy.stats import beta, betabinom, binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from pipeline.core import provenance
from pipeline.datasets.decoding import images
from pipeline.evaluation.predictions import calibration
from pipeline.evaluation.uncertainty import conformal, judging, outliers, temperature
from pipeline.evaluation.uncertainty.arrays import FloatArray, IntArray
from pipeline.pretrained import features

CALIBRATION_IMAGES = (60, 150, 600)
NEIGHBORS = (1, 5, 10, 20, 50)
BATCH = 32


class Photographs(NamedTuple):
    """Features (n, D) and classes (n,) of photographs."""

    features: FloatArray
    labels: IntArray


def read(folder: Path, *parts: str, each: int | None = None) -> Photographs:
    """Return the photographs of some parts of the set, of each class in each part the first `each` or all."""
    classes = sorted(place.name for place in (folder / parts[0]).iterdir() if place.is_dir())
    files = [
        (file, n)
        for part in parts
        for n, one in enumerate(classes)
        for file in sorted((folder / part / one).iterdir())[:each]
    ]
    found = []
    for start in tqdm(range(0, len(files), BATCH), "features", disable=None):
        batch = [images.load(file, at_least=320).image for file, _ in files[start : start + BATCH]]
        found.append(features.bundled(batch).last)
    return Photographs(np.concatenate([one.numpy() for one in found]), np.array([number for _, number in files]))


def trained(data: Photographs) -> LogisticRegression:
    """Return the head."""
    return LogisticRegression(C=0.01, max_iter=2000).fit(data.features, data.labels)


def coverage(logits: FloatArray, labels: IntArray, *, count: int, splits: int) -> list[dict[str, Any]]:
    """Return, by level, how often the sets cover as many of the rest as they promise, over random divisions."""
    covered: dict[float, list[int]] = {level: [] for level in conformal.LEVELS}
    sizes: dict[float, list[float]] = {level: [] for level in conformal.LEVELS}
    rest = len(labels) - count
    for seed in range(splits):
        order = np.random.default_rng([count, seed]).permutation(len(labels))
        own, others = order[:count], order[count:]
        fitted = judging.fit(logits[own], labels[own])
        found = judging.judge(logits[others], fitted).sets
        for level, members in found.items():
            covered[level].append(int(members[np.arange(rest), labels[others]].sum()))
            sizes[level].append(float(members.sum(axis=1).mean()))
    return [row(count, rest, level, covered[level], sizes[level]) for level in conformal.LEVELS]


def row(count: int, rest: int, level: float, covered: list[int], sizes: list[float]) -> dict[str, Any]:
    """Return one row of the result: counts that reach the level, and the share that theory expects."""
    rank = conformal.rank(count, level)
    needed = int(np.ceil(level * rest))
    promised = 1.0 if rank is None else float(beta.sf(level, rank, count + 1 - rank))
    expected = 1.0 if rank is None else float(betabinom.sf(needed - 1, rest, rank, count + 1 - rank))
    reached = sum(one >= needed for one in covered)
    return {
        "calibration_images": count,
        "tested_images": rest,
        "level": level,
        "rank": rank,
        "splits": len(covered),
        "reached": reached,
        "interval": list(binomtest(reached, len(covered)).proportion_ci(0.95)),
        "expected_share": round(expected, 4),
        "promised_share": round(promised, 4),
        "mean_coverage": round(float(np.mean(covered)) / rest, 4),
        "mean_set_size": round(float(np.mean(sizes)), 3),
    }


def unknown_classes(train: Photographs, rest: Photographs) -> list[dict[str, Any]]:
    """Return the area under the ROC curve of each score, for each class that is left out of the training."""
    rows = []
    for left_out in tqdm(np.unique(train.labels), "classes", disable=None):
        known = train.labels != left_out
        head = trained(Photographs(train.features[known], train.labels[known]))
        logits = head.decision_function(rest.features)
        reference, own = outliers.normalized(train.features[known]), outliers.normalized(rest.features)
        scores = {f"nearest {k}": outliers.distances(own, reference, neighbors=k) for k in NEIGHBORS} | {
            "energy": outliers.energy(logits),
            "largest probability": -temperature.probabilities(logits).max(axis=1),
        }
        strange = rest.labels == left_out
        rows.append(
            {"class": int(left_out)} | {name: float(roc_auc_score(strange, one)) for name, one in scores.items()}
        )
    return rows


def measure(folder: Path, splits: int) -> dict[str, Any]:
    """Return all of the result."""
    train, rest = read(folder, "train"), read(folder, "validation", "test")
    logits = trained(train).decision_function(rest.features)
    half = np.random.default_rng(0).permutation(len(rest.labels))
    own, others = half[: len(half) // 2], half[len(half) // 2 :]
    scale = temperature.fit(logits[own], rest.labels[own])
    areas = unknown_classes(train, rest)
    names = [name for name in areas[0] if name != "class"]
    return {
        "accuracy": float((logits.argmax(axis=1) == rest.labels).mean()),
        "temperature": round(scale, 4),
        "calibration_error": {
            "images": len(others),
            "before": round(calibration(rest.labels[others], logits[others])[0], 4),
            "after": round(calibration(rest.labels[others], logits[others] / scale)[0], 4),
        },
        "coverage": [
            one for count in CALIBRATION_IMAGES for one in coverage(logits, rest.labels, count=count, splits=splits)
        ],
        "unknown_classes": areas,
        "mean_area": {name: round(float(np.mean([one[name] for one in areas])), 4) for name in names},
        "sd_area": {name: round(float(np.std([one[name] for one in areas], ddof=1)), 4) for name in names},
    }


def main() -> None:
    """Measure and print; with --out, write a file too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=100, help="random divisions (100)")
    parser.add_argument("--out", type=Path, help="a folder for the result")
    given = parser.parse_args()
    if not (real := os.environ.get("REAL_DATA")):
        parser.error("REAL_DATA: not set; the folder that holds clothing10")
    result = {"versions": provenance.versions(), **measure(Path(real) / "clothing10", given.splits)}
    text = json.dumps(result, indent=2) + "\n"
    print(text)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "uncertainty.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
