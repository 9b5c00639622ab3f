"""Image sizes as `orbweaver advise --sizes` ranks them, beside what they give on test photographs.

    REAL_DATA=/data/real python benchmarks/image_sizes.py --out benchmarks/results

For `clothing10`: one frozen network at each size, its logistic regression by nested cross-validation in the 600
training photographs, as the command has it, and on the 372 test photographs, which the command never sees.
"""

import argparse
from typing import Any

import bank
import numpy as np
from tqdm import tqdm

from pipeline.advice import size_words
from pipeline.advice.image_sizes import USUAL, Sized
from pipeline.bank.probes import LOGISTIC
from pipeline.evaluation.compare.statistics import Interval
from pipeline.preview.overriding import read
from pipeline.preview.training_part import TrainingPart


def ranked(sides: list[int], setting: list[str], part: TrainingPart, is_train: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return each size's estimate, how far it is below the best, whether it is taken, and its test accuracy."""
    sizes, tests = [], []
    for side in tqdm(sorted(sides), "sizes", disable=None):
        content = bank.measured([*setting, f"image_size={side}"], part, is_train).content
        probe = content["probes"][LOGISTIC]
        # Of the network alone: the fits take about the same at every size.
        seconds = round(int(is_train.sum()) / content["images_per_second"], 1)
        interval = Interval(probe["low"], probe["high"])
        sizes.append(Sized(side, side**2, probe["mean"], interval, probe["parts"], seconds))
        tests.append(probe["test"])
    plain = [one | {"test": test} for one, test in zip(size_words.plain(sizes), tests, strict=True)]
    return {"train": int(is_train.sum()), "tested": int((~is_train).sum()), "sizes": plain}


def main() -> None:
    """Measure and print; with --out, write a file too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(USUAL))
    parser.add_argument("--backbone", default=next(iter(bank.FILES)), choices=list(bank.FILES))
    given, place = bank.arguments(parser)
    setting = bank.words(place, given.backbone)
    content = bank.with_all(read(setting), lambda part, is_train: ranked(given.sizes, setting, part, is_train))
    bank.publish({"backbone": given.backbone, **content}, "image-sizes.json", given.out)


if __name__ == "__main__":
    main()
