"""What the user's own files hold, such as photographs, as DVC sees it."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.datasets.collect import listing


def digest(root: Path, place: Path) -> str:
    """Return the digest by which DVC knows a file or folder, from contents and the names below it.

    Files are read once: DVC remembers those that have not been touched since.

    Args:
        root: the project's root, with DVC's repository.
        place: the file or folder; one that is not there has an empty digest.

    Raises:
        InputError: for a file that cannot be read, a link to a folder, which DVC does not follow, and where there is
            no repository.
    """
    if not place.exists():
        return ""
    if link := next(listing.linked_folders(place), None):
        raise InputError(f"{link}: is a link to a folder, behind which DVC sees no change; copy the folder there")
    # Most studies have no files of the user's own, and DVC takes most of a second to import.
    from dvc.exceptions import DvcException
    from dvc.fs import LocalFileSystem
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build

    try:
        with Repo(str(root)) as repo:
            files = LocalFileSystem()
            _, _, content = build(
                repo.cache.local, str(place.resolve()), files, "md5", ignore=repo.dvcignore, dry_run=True
            )
    except DvcException as error:
        raise InputError(f"{root}: {error}") from None
    except OSError as error:
        raise InputError(f"{error.filename or place}: {error.strerror or error}") from None
    return str(content.hash_info.value)
