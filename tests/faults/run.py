"""`make faults N=50`: known faults at random moments, and a table of how many are survived."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
import clones
import killing


def main() -> None:
    """Run each kind of fault so often, and print a row for each; the status is 1 where one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name has this")
    given = parser.parse_args()
    rows, failures = [], []
    kinds = [(variant, trial) for variant in killing.VARIANTS for trial in killing.TRIALS]
    for variant, trial in kinds:
        name = f"training, {variant}: {trial}"
        if given.only not in name:
            continue
        passed = 0
        with tempfile.TemporaryDirectory() as folder:
            (place := Path(folder) / "clone").mkdir()
            clone = clones.make_clone(place, Path(folder))
            killing.prepare(clone, variant)
            training = killing.undisturbed(clone)
            for number in tqdm(range(given.times), desc=name, disable=None):
                seed = given.seed + number
                try:
                    killing.TRIALS[trial](clone, training, random.Random(seed))
                    passed += 1
                except AssertionError as error:
                    failures.append(f"{name}, seed {seed}: {error}")
                    tqdm.write(failures[-1])
        rows.append(f"| {name} | {given.times} | {passed} | {given.seed} to {given.seed + given.times - 1} |")
        print(rows[-1], flush=True)
    print("\n".join(["", "| fault | n | passed | seeds |", "| --- | --- | --- | --- |", *rows, *failures]))
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
