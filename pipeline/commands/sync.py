"""`orbweaver sync`: fill MLflow from the files of every experiment that is at hand."""

import click

from pipeline import tracking
from pipeline.core import paths
from pipeline.experiments.syncing import WORDS, sync


@click.command(name="sync")
@click.option("--models", is_flag=True, help="Also log the working tree's bundle as a model.")
def command(models: bool) -> None:
    """Bring MLflow up to date with the files in `metrics`.

    These are the files of the working tree, of HEAD and of every DVC experiment.
    """
    sync()
    if models:
        logged = tracking.log_bundle(paths.BUNDLE)
        click.echo(f"MLflow: model {logged.model} {WORDS[logged.outcome]}")
