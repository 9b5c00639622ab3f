"""Stage `bundle`, outside dvc.yaml's chain: trained networks in one folder, ready for use elsewhere."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import tracking
from pipeline.assembly import bundling
from pipeline.bundles.description import Kind
from pipeline.core import paths
from pipeline.core.errors import one_line_errors


def main(arguments: Sequence[str]) -> None:
    """Write the bundle of the working tree's experiment."""
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--repeat", type=int, help="the network of this repeat; by default the first")
    which.add_argument("--ensemble", action="store_true", help="the networks of all repeats")
    given = parser.parse_args(arguments)
    kind: Kind = "ensemble" if given.ensemble else "repeat"
    results = tracking.read(tracking.Folder(Path()))
    numbers = bundling.chosen(kind, given.repeat, results)
    with paths.written_whole(paths.BUNDLE) as target:
        target.mkdir()
        bundling.write(target, kind, numbers, results)
    print(f"bundle: {paths.BUNDLE}: {'repeats' if len(numbers) > 1 else 'repeat'} {', '.join(map(str, numbers))}")


if __name__ == "__main__":
    with one_line_errors("bundle"):
        main(sys.argv[1:])
