"""Other recommendations that were tested on the same test part: DVC's experiments of other advices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import tracking
from pipeline.config.layers import at
from pipeline.core import files, paths
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.experiments import revisions
from pipeline.experiments.revisions import Revision
from pipeline.running import trials


def others(root: Path, tested: Repeat) -> list[str]:
    """Return the names of experiments that tested another advice's recommendation on test images of this one.

    The same recommendation, found again or trained anew, is none: between equal settings nobody chooses. Nor is one
    whose files are lost, of which its images are not known.

    Args:
        root: the project's root.
        tested: a repeat of this advice's recommendation on the test part.
    """
    ours = f"{trials.NAME}-"
    advised = [(name, revision) for name, revision in revisions.experiments(root) if name.startswith(ours)]
    return sorted(name for name, revision in advised if _chooses_too(Revision(root, revision), tested))


def _chooses_too(files_of: Revision, tested: Repeat) -> bool:
    """Return whether an experiment is of other settings and was tested on test images of this one."""
    try:
        with tracking.complete(files_of.again):
            recipe: Mapping[str, Any] = files.parse_yaml(files_of.read(paths.RECIPE), paths.RECIPE)
            # Most are trials, which have other test images; this much is in git.
            if at(recipe, "data.split.inner"):
                return False
            other = repeats.read(files_of, recipe["repeats"][0])
    except InputError:
        return False
    return bool(_images(other) & _images(tested)) and other.record.recipe != tested.record.recipe


def _images(one: Repeat) -> set[tuple[str, ...]]:
    """Return the test images by set, folder and path: the hash of the data is another one at another image size."""
    return {(one.record.data.set, one.runtime.naming.data, row["path"]) for row in one.predictions}
