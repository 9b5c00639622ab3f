"""Stage `validate`: refuse wrong settings before any other stage has started or lost an output.

DVC deletes a stage's outputs before it runs the stage. This one reads the whole of params.yaml and writes the resolved
recipe, which is kept until the new one is whole; all later stages read and track that file alone.
"""

import os
from pathlib import Path

from pipeline import config
from pipeline.core import paths
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.files import write_yaml
from pipeline.core.recipe import Recipe
from pipeline.preview import refusals

HEADER = "Written by the stage validate from params.yaml: the experiment as it is, which all later stages read."
# DVC's variable for an experiment, not for `dvc repro`.
OF_AN_EXPERIMENT = "DVC_EXP_NAME"
WAY_BACK = f"; what -S has set stays in {paths.PARAMS}: `git restore {paths.PARAMS}` undoes it, and your edits there"


def main() -> None:
    """Check params.yaml and the places that it names, remark on what is not read, and write the resolved recipe."""
    try:
        check_and_write()
    except InputError as error:
        # In a copy, DVC's or a study's, the user's own file is as it was.
        is_left = os.environ.get(OF_AN_EXPERIMENT) and paths.root() == Path.cwd()
        raise InputError(f"{error}{WAY_BACK if is_left else ''}") from None


def check_and_write() -> None:
    """Do the same, with errors as they are."""
    before = paths.PARAMS.read_bytes() if paths.PARAMS.exists() else b""
    resolved = config.resolve(config.load())
    refusals.check_places(resolved)
    refusals.check_machine(resolved.recipe)
    for note in [*refusals.check_network(resolved.recipe), *config.remarks(resolved)]:
        print(f"validate: note: {note}")
    # DVC would record the later file as the one that was checked.
    if paths.PARAMS.read_bytes() != before:
        raise InputError(f"{paths.PARAMS}: edited while this ran; `dvc repro` checks it as it is now")
    write(resolved.recipe.model_copy(update={"naming": config.naming(resolved)}))


def write(recipe: Recipe) -> None:
    """Write the resolved recipe whole."""
    with paths.written_whole(paths.RECIPE) as target:
        write_yaml(target, recipe.plain(), header=HEADER)


if __name__ == "__main__":
    with one_line_errors("validate"):
        main()
