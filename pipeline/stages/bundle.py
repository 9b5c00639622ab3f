"""Stage `bundle`, outside dvc.yaml's chain: trained networks in one folder, ready for use elsewhere."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import tracking
from pipeline.assembly import bundling, final_training
from pipeline.bundles import contents
from pipeline.bundles.description import Kind
from pipeline.core import paths, stopping
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.tracking.results import Results


def main(arguments: Sequence[str]) -> None:
    """Write the bundle of the working tree's experiment."""
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--repeat", type=int, help="the network of this repeat; by default the first")
    which.add_argument("--ensemble", action="store_true", help="the networks of all repeats")
    which.add_argument("--final", type=float, metavar="HELD_OUT", help="one more, on all images but this fraction")
    given = parser.parse_args(arguments)
    results = tracking.read(tracking.Folder(Path()))
    if given.final is not None:
        write_final(results, held_out=given.final)
        return
    data = Packed.open(paths.PACKED)
    check_images(results, data)
    kind: Kind = "ensemble" if given.ensemble else "repeat"
    numbers = contents.repeats(kind, given.repeat, [one.number for one in results.repeats])
    with paths.written_whole(paths.BUNDLE) as target:
        target.mkdir()
        bundling.write(target, kind, numbers, results, data)


def check_images(results: Results, data: Packed) -> None:
    """Refuse a packed set that `dvc repro preprocess` has made since: the scores are of other images.

    Raises:
        InputError: naming it.
    """
    if data.sha256 != results.repeats[0].runtime.data_sha256:
        raise InputError(f"{paths.PACKED}: not the images of the experiment in metrics; run `dvc repro` first")


def write_final(results: Results, *, held_out: float) -> None:
    """Train once more and write the bundle; a training that was stopped goes on from its checkpoint."""
    recipe = Recipe.read()
    data = Packed.open(paths.PACKED, mean=recipe.data.mean, std=recipe.data.std)
    check_images(results, data)
    with stopping.noted() as stop:
        final = final_training.train(recipe, data, results, held_out=held_out, stop=stop)
        with paths.written_whole(paths.BUNDLE) as target:
            target.mkdir()
            bundling.write_final(target, final, recipe, results, data)
        final.keeper.remove()


if __name__ == "__main__":
    with one_line_errors("bundle"):
        main(sys.argv[1:])
        stopping.ignore()
