"""`orbweaver bundle`: the trained networks of an experiment in one folder, ready for use elsewhere."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from pipeline import tracking
from pipeline.bundles import contents
from pipeline.bundles.description import Description, Kind
from pipeline.bundles.held_out import SHARES
from pipeline.commands.ranges import FiniteRange
from pipeline.core import paths, stopping
from pipeline.core.errors import InputError
from pipeline.core.percents import percent
from pipeline.experiments import cloning, dvc_config, revisions, temporary
from pipeline.recovery import earlier_bundle
from pipeline.running import cell_clones
from pipeline.tracking.results import Results

HEADER = "# Written by `orbweaver bundle`; outside dvc.yaml's chain, so that `dvc repro` leaves it alone.\n"
# What the stage reads: of all repeats their metrics, and of those that it takes the networks.
READ = ("data/copies", "data/packed", "metrics/evaluate", "metrics/runtime", "metrics/summary.json", "metrics/train")
# What a final training reads besides.
FOR_FINAL = ("data/recipe.yaml", "data/collected", "models/source")
HELD_OUT = SHARES[0]
CODE = (
    "pipeline/assembly/bundling.py",
    "pipeline/assembly/certain.py",
    "pipeline/assembly/certainty_figures.py",
    "pipeline/assembly/recorded_scores.py",
    "pipeline/bundles",
    "pipeline/evaluation",
    "pipeline/stages/bundle.py",
)


@click.command(name="bundle")
@click.argument("experiment", required=False)
@click.option("--repeat", type=click.IntRange(min=0), help="Bundle the network of this repeat; by default the first.")
@click.option("--ensemble", is_flag=True, help="Bundle the networks of all repeats; probabilities are averaged.")
@click.option(
    "--final", is_flag=True, help="Train and bundle one more network, on all labeled images; it has no test score."
)
@click.option(
    "--calibration",
    type=FiniteRange(0, SHARES[-1]),
    help=f"With --final: the fraction of images held out to calibrate it; by default {HELD_OUT}, 0 for none.",
)
def command(experiment: str | None, repeat: int | None, ensemble: bool, final: bool, calibration: float | None) -> None:
    """Package a trained network in models/bundle, ready to use.

    EXPERIMENT is a DVC experiment or a git revision; by default the results in the working tree are used. No network is
    chosen by its score: without an option, it is that of the first repeat.
    """
    if sum((repeat is not None, ensemble, final)) > 1:
        raise InputError("--repeat, --ensemble and --final: use only one of them")
    if calibration is not None and not final:
        raise InputError("--calibration: only applies to --final; other networks are calibrated on validation images")
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    kind: Kind = "ensemble" if ensemble else "final" if final else "repeat"
    wanted = Wanted(kind, repeat, HELD_OUT if calibration is None else calibration)
    before = earlier_bundle.files(Path.cwd())
    try:
        if experiment is None:
            make(Path.cwd(), wanted)
        else:
            make_elsewhere(Path.cwd(), experiment, wanted)
    except KeyboardInterrupt:
        click.echo(f"bundle: interrupted; {paths.BUNDLE} {since(before)}", err=True)
        raise SystemExit(stopping.INTERRUPTED) from None
    tracking.try_log_bundle(paths.BUNDLE)
    click.echo(summary(contents.describe(paths.BUNDLE)))


def since(before: Mapping[str, str]) -> str:
    """Return what an interruption has left, seen against the files of before."""
    now = earlier_bundle.files(Path.cwd())
    if now == before:
        return "is as before, and the same command goes on"
    return "is another than before, and the same command goes on" if now else "is gone, and the same command makes it"


class Wanted(NamedTuple):
    """The bundle that is asked for: its kind, the repeat, and the fraction that is held out of a final training."""

    kind: Kind
    repeat: int | None
    held_out: float

    def taken(self, results: Results) -> tuple[int, ...]:
        """Return the repeats whose networks it holds.

        Raises:
            InputError: for a repeat that the experiment does not have.
        """
        numbers = [one.number for one in results.repeats]
        return () if self.kind == "final" else contents.repeats(self.kind, self.repeat, numbers)

    def words(self, taken: Sequence[int]) -> list[str]:
        """Return the words that ask the stage for it."""
        options = {"ensemble": ["--ensemble"], "final": ["--final", str(self.held_out)]}
        return options.get(self.kind) or ["--repeat", str(taken[0])]

    def typed(self, taken: Sequence[int]) -> list[str]:
        """Return the words that ask `orbweaver bundle` for it."""
        return ["--final", "--calibration", str(self.held_out)] if self.kind == "final" else self.words(taken)


def make(root: Path, wanted: Wanted) -> None:
    """Make the bundle of a working tree, as the only stage of a DVC file of its own.

    Raises:
        InputError: for an experiment that is not finished, a repeat that it does not have, or where DVC fails.
    """
    taken = wanted.taken(tracking.read(tracking.Folder(root)))
    own = [file.as_posix() for number in taken for file in (paths.trained(number), paths.split_file(number))]
    deps = {*READ, *CODE, *(FOR_FINAL if wanted.kind == "final" else own)}
    made(root, {"cmd": f"python -m pipeline.stages.bundle {shlex.join(wanted.words(taken))}", "deps": sorted(deps)})


def made(root: Path, stage: Mapping[str, Any]) -> None:
    """Run the bundle's stage; where it fails, the bundle of before, which DVC deletes first, is brought back.

    Raises:
        InputError: where DVC fails.
    """
    with earlier_bundle.kept(root):
        define(root, stage)
        otherwise = "was not made, for the reason above; the same command tries again"
        earlier_bundle.dvc(root, "repro", "--single-item", earlier_bundle.ADDRESS, otherwise=otherwise)


def make_elsewhere(root: Path, experiment: str, wanted: Wanted) -> None:
    """Make the bundle of an experiment of DVC's, or of a revision, in a clone of it, and bring it here.

    The code is this version's. The DVC file names the command without dependencies, which are not in this working tree,
    and is frozen: `dvc repro` leaves it as it is.

    Raises:
        InputError: for an experiment that is not known, or whose files DVC's cache does not have.
    """
    revision = cloning.resolved(root, experiment)
    if revision is None:
        raise InputError(f"{experiment}: neither a DVC experiment nor a git revision; `dvc exp show` lists them")
    results = revisions.results(root, revision, experiment)
    taken = wanted.taken(results)
    words = wanted.words(taken)
    outputs = list(needed([one.number for one in results.repeats], taken))
    with temporary.folder() as folder:
        clone = cloning.make(root, folder / "clone", revision)
        dvc_config.set_local(clone, {"cache": {"dir": str(cell_clones.cache_of(root))}})
        cloning.run_dvc(clone, "checkout", "--quiet", *outputs, *(FOR_FINAL if wanted.kind == "final" else ()))
        # Without the clone's own code, which may be older than bundles.
        command = (sys.executable, "-P", "-m", "pipeline.stages.bundle", *words)
        of_mlflow = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
        variables = {**cloning.environment(), **of_mlflow, paths.ROOT_VARIABLE: str(root)}
        if subprocess.run(command, cwd=clone, env=variables, stdout=sys.stderr.fileno(), check=False).returncode:
            raise InputError(
                f"{experiment}: its bundle was not made, for the reason above; the experiment is of commit "
                f"{results.repeats[0].runtime.git_commit[:12]}, whose code may have what this one lacks"
            )
        stage = {"cmd": f"orbweaver bundle {revision} {shlex.join(wanted.typed(taken))}", "frozen": True}
        place(root, clone / paths.BUNDLE, stage)


def place(root: Path, made_there: Path, stage: Mapping[str, Any]) -> None:
    """Bring a bundle here and record it; signals wait until both are done.

    Raises:
        InputError: where DVC fails.
    """
    with stopping.held_back():
        with paths.written_whole(root / paths.BUNDLE) as target:
            shutil.copytree(made_there, target)
        define(root, stage)
        words = ("commit", "--force", str(paths.BUNDLE_STAGE))
        otherwise = f"is the new one, but not recorded, for the reason above; `dvc {shlex.join(words)}` records it"
        earlier_bundle.dvc(root, *words, otherwise=otherwise)


def needed(numbers: Sequence[int], taken: Sequence[int]) -> Iterator[str]:
    """Yield the outputs that a bundle is made from: of all repeats their metrics, of those taken the networks."""
    yield paths.COPIES.as_posix()
    yield paths.PACKED.as_posix()
    for number in numbers:
        for place in (paths.evaluation(number), paths.training_metrics(number), paths.runtime_file(number)):
            yield place.as_posix()
        yield paths.digests(paths.runtime_file(number)).as_posix()
    for number in taken:
        for place in (paths.trained(number), paths.split_file(number), paths.digests(paths.split_file(number))):
            yield place.as_posix()


def define(root: Path, stage: Mapping[str, Any]) -> None:
    """Write the DVC file of the bundle's stage."""
    common: dict[str, Any] = {
        "desc": "Put trained networks and all that is needed to use them into one folder",
        "wdir": "..",
        "outs": [paths.BUNDLE.as_posix()],
    }
    with paths.written_whole(root / paths.BUNDLE_STAGE) as target:
        target.write_text(
            HEADER + yaml.safe_dump({"stages": {earlier_bundle.STAGE: common | dict(stage)}}, sort_keys=False),
            encoding="utf-8",
        )


def summary(said: Description) -> str:
    """Return the line that names a bundle with its accuracy."""
    repeats = ", ".join(str(one.repeat) for one in said.members)
    whose = {
        "repeat": f"repeat {repeats}",
        "ensemble": f"repeats {repeats}, averaged",
        "final": f"one more network, trained on {said.origin.parts.get('train')} images",
    }[said.kind]
    score = said.scores.get("accuracy")
    tested = f"{percent(score.value)} of {score.images} test images right" if score else "no test score"
    sure = "" if said.calibration else f"; probabilities not calibrated, {paths.BUNDLE}/README.md says why"
    return f"bundle: {paths.BUNDLE}: {whose}; {tested}{sure}; use it: orbweaver predict {paths.BUNDLE} FOLDER"
