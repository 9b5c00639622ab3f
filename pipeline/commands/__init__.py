"""The console script `orbweaver`: one module per command, imported when it is called, and what serves one alone."""

from importlib import import_module
from pathlib import Path

import click

from pipeline.core.errors import InputError, end_with, one_line_errors, status_of

# Each is the `command` of the module of its name, and the first sentence of its help, so that the list imports none.
COMMANDS = {
    "advise": "Recommend how to fine-tune a network on your images.",
    "bank": "Rank pre-trained networks by their frozen features.",
    "bundle": "Package a trained network in models/bundle, ready to use.",
    "compare": "Compare experiments on the same test images.",
    "describe": "Print settings, trained layers and estimated training time.",
    "doctor": "Check the data set and the project for what would stop a run.",
    "export": "Export a bundle to one file for other programs, and check it.",
    "mlflow": "Bring MLflow up to date, then serve its pages until Ctrl-C.",
    "predict": "Predict the class of images, with probability and uncertainty.",
    "register": "Register BUNDLE in MLflow's model registry, and set the alias.",
    "reproduce": "Repeat RUN from scratch and compare every output bit by bit.",
    "score": "Score bundles on new labeled photographs, and compare them.",
    "study": "Run and report named tables of experiments, such as a paper's.",
    "sync": "Bring MLflow up to date with the files in `metrics`.",
}
# The module of a command that nodes of a cluster run, and users do not type.
HIDDEN = {"cell": "worker"}
# The status of an error in a command whose 1 is its answer.
FAILED = {"reproduce": 2}


class _Commands(click.Group):
    """Import a command only when it is called, so that the list of commands and `sync` do not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in (*COMMANDS, *HIDDEN):
            return None
        try:
            module = import_module(f"{__name__}.{HIDDEN.get(cmd_name, cmd_name)}")
        except ModuleNotFoundError as error:
            # click has no name of what is invoked yet, see `invoke`.
            end_with(FAILED.get(cmd_name, 1), error)
            raise
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an empty word, which as a path would be the folder that the command is called in."""
        if "" in args:
            before = " ".join(["orbweaver", *args[: args.index("")]])
            error = InputError(f"an empty word after `{before}`, as of a shell's variable that is not set; give a name")
            end_with(FAILED.get(args[0], 1), error)
            raise error
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """End after Ctrl-C with a shell's own status, and after an error with another than 1, where 1 is an answer."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # While a command's module is imported, click has no name of it yet.
            click.echo(f"{ctx.invoked_subcommand or 'orbweaver'}: interrupted", err=True)
            ctx.exit(130)
        except Exception as error:
            if (name := ctx.invoked_subcommand) in FAILED:
                end_with(FAILED[name], error)
            raise


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
        from pipeline.recovery import mending

        mending.prepare(Path.cwd(), lambda line: click.echo(f"orbweaver: {line}", err=True))


def main() -> None:
    """Run the program `orbweaver`."""
    with one_line_errors("orbweaver"):
        try:
            orbweaver()
        except ModuleNotFoundError as error:
            package = (error.name or "pipeline").partition(".")[0]
            if package == "pipeline":
                raise
            # Who only applies bundles may have installed little more than torch.
            missing = InputError(
                f"Python's module {package!r} is not installed, and this needs it; install orbweaver with all that "
                "it depends on: `make setup` in a clone, or pip without --no-deps"
            )
            end_with(status_of(error), missing)
            raise missing from None
