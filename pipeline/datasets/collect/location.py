"""The place of the user's folder, as params.yaml names it."""

from pathlib import Path

from pipeline.core import paths, places
from pipeline.core.errors import InputError
from pipeline.datasets.collect.listing import OUR_FILES, listed, subfolders


def check_location(folder: str) -> Path:
    """Check that the `folder` of params.yaml exists from any working directory of DVC, and is not empty.

    Raises:
        InputError: if it is relative and not the default, missing, a file, empty, or around this project.
    """
    path = Path(folder)
    if path != paths.OWN_FOLDER:
        places.check_absolute("folder", folder)
    if not path.is_dir():
        fault = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"folder: {folder!r} {fault}; give the folder that holds the class folders")
    if path.is_absolute() and paths.root().is_relative_to(path.resolve()):
        raise InputError(
            f"folder: {folder!r} holds this project itself, whose files would be images; "
            "put the class folders into a folder of their own"
        )
    if not listed(path, OUR_FILES):
        raise InputError(_empty_message(path))
    return path


def _empty_message(path: Path) -> str:
    if path.is_absolute():
        return f"folder: '{path}' is empty; put one folder a class into it"
    original = paths.root() / path
    # DVC's queued and --temp runs work in a copy of the repository, without files that git ignores.
    if paths.root() != Path.cwd().resolve() and original.is_dir() and subfolders(original):
        return (
            f"{path} is empty in this copy of the project, since files outside git do not come along; "
            f"name them by their own place: -S \"folder='{original}'\""
        )
    return f"{path} is empty; put one folder a class into it, or name another: -S data=folder -S folder=/path"
