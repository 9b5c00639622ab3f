"""`orbweaver register`: a bundle as a version of a model in MLflow's registry, if it is better than the one in use."""

import re
from pathlib import Path

import click

from pipeline import tracking
from pipeline.bundles import contents
from pipeline.bundles.description import Description
from pipeline.core import paths, shell
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.experiments import Pair
from pipeline.experiments import finding, reading
from pipeline.tracking import Version


@click.command(name="register")
@click.argument("folder", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--alias", default="champion", show_default=True, help="The alias of the version in use.")
@click.option("--name", help="The registered model; by default orbweaver-DATASET.")
@click.option("--force", is_flag=True, help="Register even if it is not better, or cannot be compared.")
def command(folder: Path, alias: str, name: str | None, force: bool) -> None:
    """Register BUNDLE in MLflow's model registry, and set the alias.

    If another version has the alias, `orbweaver compare` must find this one's experiment better, on the same test
    images. The version's description is the bundle's model card.
    """
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    said = contents.describe(folder)
    given, name = name is not None, name or default_name(said)
    key = tracking.content_key(folder)
    before = tracking.version_of(name, alias)
    if before and before.bundle == key:
        click.echo(f"register: {name} version {before.number} is this bundle, and has the alias {alias} already")
        return
    replaces_others = bool(before and before.images and before.images != said.origin.data_sha256)
    if before and force and replaces_others and not given:
        # Folders of one name may hold anything.
        raise InputError(
            f"{name} version {before.number}, which has the alias {alias}, is of other images, or of these at another "
            f"size; --name {shell.quote(name)} --force replaces it all the same, and another --name keeps both"
        )
    named = f"--name {shell.quote(name)} " if replaces_others and not given else ""
    way_out = f"{named}--force registers it anyway"
    verdict = "by --force" if force else judged(said, name, alias, before, way_out)
    number = tracking.register(folder, name=name, alias=alias, expected=before.number if before else None)
    click.echo(f"register: {name} version {number} has the alias {alias}: {verdict}; load it: models:/{name}@{alias}")


def default_name(said: Description) -> str:
    """Return the registered model of a data set, without the signs that MLflow's filters and addresses use."""
    return "orbweaver-" + re.sub(r"[^\w .+-]", "_", said.origin.data_set)


def judged(said: Description, name: str, alias: str, before: Version | None, way_out: str) -> str:
    """Return in words why a bundle may take an alias.

    Args:
        said: of the bundle.
        name: the registered model.
        alias: what the bundle is to take.
        before: the version that has it.
        way_out: what registers the bundle in any case.

    Raises:
        InputError: where it is not better than the version that has it, or nothing tells.
    """
    if before is None:
        return "the first to have it"
    who = f"{name} version {before.number}, which has the alias {alias}"
    if reason := incomparable(said, before):
        raise InputError(f"not compared with {who}: {reason}; {way_out}")
    names = {}
    for role, key in (("new", said.origin.experiment), ("old", before.experiment)):
        place = finding.experiment(Path.cwd(), key)
        if place is None:
            raise InputError(
                f"not compared with {who}: the files of experiment {key[:12]} are neither here nor in DVC's "
                f"cache; {way_out}"
            )
        names[role] = place
    try:
        # By these names, which the verdict has.
        new = reading.read(names["new"])._replace(name="the new one")
        old = reading.read(names["old"])._replace(name=f"version {before.number}")
        [pair] = comparison.compare([new, old]).pairs
    except InputError as error:
        raise InputError(f"not compared with {who}: {error}; {way_out}") from None
    points = f"{100 * pair.difference:+z.1f} points of accuracy in {counted(len(pair.repeats), 'repeat')}"
    if any(len(one.trials) > 1 for one in (new, old)):
        points += " of the experiments, not of these two networks alone"
    if pair.better != new.name:
        raise InputError(f"not better than {who}: {pair.verdict} ({points}); {_more_repeats(pair)}{way_out}")
    return f"{pair.verdict} ({points})"


def _more_repeats(pair: Pair) -> str:
    """Return that more repeats may decide, where the new one has the higher accuracy but not detectably.

    The verdict on equal repeats asks for more itself.
    """
    if pair.difference <= 0 or pair.untested:
        return ""
    price = f" (about {pair.repeats_needed:,} detect 2 points)" if pair.repeats_needed else ""
    return f"train both with more repeats, which detect smaller differences{price}, or "


def incomparable(said: Description, before: Version) -> str:
    """Return why two bundles cannot be compared by their experiments; "" where they may be."""
    if not said.scores:
        return f"this bundle ({said.kind}) has no test score of its own"
    if not before.scored:
        return f"that bundle ({before.kind}) has no test score of its own"
    for which, kind in (("this", said.kind), ("that", before.kind)):
        if kind == "ensemble":
            return f"{which} bundle (ensemble) averages several networks, and `orbweaver compare` compares single ones"
    if said.origin.experiment == before.experiment:
        return "both are of one experiment, which is no better than itself"
    return ""
