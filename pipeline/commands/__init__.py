"""The console script `orbweaver`: one module a command, loaded when it is called."""

from importlib import import_module
from pathlib import Path

import click

from pipeline.core.errors import one_line_errors

COMMANDS = {
    "advise": "pipeline.commands.advise",
    "bank": "pipeline.commands.bank",
    "bundle": "pipeline.commands.bundle",
    "compare": "pipeline.commands.compare",
    "describe": "pipeline.commands.describe",
    "doctor": "pipeline.commands.doctor",
    "export": "pipeline.commands.export",
    "mlflow": "pipeline.commands.mlflow",
    "predict": "pipeline.commands.predict",
    "register": "pipeline.commands.register",
    "reproduce": "pipeline.commands.reproduce",
    "study": "pipeline.commands.study",
    "sync": "pipeline.commands.sync",
}
# What nodes of a cluster run, and users do not type.
HIDDEN = {"cell": "pipeline.commands.worker"}


class _Commands(click.Group):
    """Import a command only when it is asked for, so that help and `sync` do not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (module := (COMMANDS | HIDDEN).get(cmd_name)) is None:
            return None
        command: click.Command = import_module(module).command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """End after Ctrl-C with a shell's own status; click's is 1, which is an answer of some commands."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(f"{ctx.invoked_subcommand}: interrupted", err=True)
            ctx.exit(130)


@click.command(cls=_Commands)
@click.version_option(package_name="orbweaver")
@click.pass_context
def orbweaver(context: click.Context) -> None:
    """Adapt a pre-trained network to a few hundred labeled images, with evidence.

    `dvc repro` and `dvc exp run` train and test networks; these commands prepare, compare and use the results. Run them
    in the project's root.
    """
    # `doctor` says and mends all by itself; where DVC has no folder there is no project.
    # A node of a cluster leaves the user's clone to the machine that the user works at.
    if context.invoked_subcommand not in ("doctor", *HIDDEN) and Path(".dvc").is_dir():
        from pipeline.commands import mending

        mending.prepare(Path.cwd(), lambda line: click.echo(f"orbweaver: {line}", err=True))


def main() -> None:
    """Run the program `orbweaver`."""
    with one_line_errors("orbweaver"):
        orbweaver()
