"""Places that stages read and write, relative to the project's root, which is where DVC runs every stage."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.core import processes

PARAMS = Path("params.yaml")
LOCK = Path("dvc.lock")
RECIPE = Path("data/recipe.yaml")
OWN_FOLDER = Path("data/own")
NO_WEIGHTS_FILE = Path("models/none")
NO_ARCHIVE = Path("data/none")

COLLECTED = Path("data/collected")
IMAGES = COLLECTED / "images"
MANIFEST = COLLECTED / "manifest.csv"
REJECTED = COLLECTED / "rejected.csv"
DATASET = COLLECTED / "dataset.json"

COPIES = Path("data/copies")
GROUPS = COPIES / "groups.csv"
PAIRS = COPIES / "pairs.csv"
SEARCH = COPIES / "search.json"

# each file below is an output by itself
SPLITS = Path("data/split")
RUNTIMES = Path("metrics/runtime")

PACKED = Path("data/packed")
PACKED_ARRAY = "images.npy"
PACKED_INDEX = "index.csv"
PACKED_META = "meta.json"

SOURCE = Path("models/source")
SOURCE_WEIGHTS = SOURCE / "weights.safetensors"
SOURCE_RECORD = SOURCE / "source.json"

# outside dvc.yaml's chain, made by a stage of a file of its own
BUNDLE = Path("models/bundle")
BUNDLE_STAGE = Path("models/dvc.yaml")

# next to the curves of a repeat
AUGMENTED = "augmented.png"

# next to the predictions of a repeat: those of a classifier on the frozen network's features
PROBE = "probe.json"

# the digests of a folder's files, and the end of the name of a single file's
SUMS = "SHA256SUMS"
DIGEST = ".sha256"

SUMMARY = Path("metrics/summary.json")
CURVES = Path("metrics/curves.csv")
REPORT = Path("metrics/report")
STUDIES = Path("metrics/studies")

# below root()
MLFLOW_DATABASE = Path("mlflow.db")
MLFLOW_ARTIFACTS = Path("mlruns")
MLFLOW_LOCK = Path(".dvc/tmp/mlflow.lock")
CHANNELS = Path(".dvc/tmp/channels")
CHECKPOINTS = Path(".dvc/tmp/checkpoints")
BANK = Path(".dvc/tmp/bank")

# What follows the name of what is half written, and of a folder that is moved aside.
PARTIAL = ".partial"
OLD = f".old{PARTIAL}"
# Set where a study runs a cell, which DVC takes for a clone of its own.
ROOT_VARIABLE = "ORBWEAVER_ROOT"


def split_file(repeat: int) -> Path:
    """Return the CSV file with the part of each image in a repeat."""
    return SPLITS / f"{repeat}.csv"


def trained(repeat: int) -> Path:
    """Return the folder of the trained network of a repeat."""
    return Path(f"models/trained/{repeat}")


def training_metrics(repeat: int) -> Path:
    """Return the folder of the curves and the record of a repeat's training."""
    return Path(f"metrics/train/{repeat}")


def runtime_file(repeat: int) -> Path:
    """Return the JSON file of all that differs between two equal runs: times, device, versions, commit."""
    return RUNTIMES / f"{repeat}.json"


def evaluation(repeat: int) -> Path:
    """Return the folder of the test results of a repeat."""
    return Path(f"metrics/evaluate/{repeat}")


def digests(file: Path) -> Path:
    """Return the file with the digest of a file: one for its folder, or its own where it is an output by itself."""
    # Also below another root.
    if any(file.parent.parts[-len(own.parts) :] == own.parts for own in (SPLITS, RUNTIMES, CHANNELS)):
        return file.with_name(file.name + DIGEST)
    return file.parent / SUMS


def root() -> Path:
    """Return the root of the user's own clone, also from inside temporary copies of it, DVC's or a study's."""
    return Path(os.environ.get(ROOT_VARIABLE) or os.environ.get("DVC_ROOT", ".")).resolve()


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary place next to `target`, and move what was written there to `target` only if nothing failed.

    A file takes the place of another in one step. A folder takes two, between which neither is there: who is killed
    then leaves both beside the target, and the next writer of it puts the old one back before it begins. Of two
    processes that write the same target at once, each has a place of its own, and what is moved last stays.

    Args:
        target: the file or folder to make; one of that name is replaced.

    Yields:
        The path to write to; its parent exists, itself does not.
    """
    drafts, aside = target.with_name(f".{target.name}{PARTIAL}"), target.with_name(f".{target.name}{OLD}")
    own = drafts / str(os.getpid())
    partial = own / target.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with naming(target, partial, own, drafts, aside):
        _put_back(aside, target)
        _remove_unfinished(drafts)
        try:
            _make_own(own)
            yield partial
            if _is_folder(target) or (_is_folder(partial) and os.path.lexists(target)):
                target.replace(aside)
            partial.replace(target)
        finally:
            _put_back(aside, target)
            _remove(own)
            # Another process may write there.
            with suppress(OSError):
                drafts.rmdir()


@contextmanager
def naming(file: Path, *partials: Path) -> Iterator[None]:
    """Name a file in an error of the disk that names none: a failed write, as on a full one, does not by itself.

    Args:
        file: what is written.
        partials: where it is until it is whole, and folders around that, innermost first: names of ours, each of which
            stands for the file's in an error, or above one.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and not error.filename:
            error.filename = str(file)
        # The second name is that of a copy.
        for name in ("filename", "filename2"):
            place = getattr(error, name)
            above = (one for one in partials if isinstance(place, str) and Path(place).is_relative_to(one))
            if partial := next(above, None):
                setattr(error, name, str(file / Path(place).relative_to(partial)))
        raise


def _put_back(aside: Path, target: Path) -> None:
    """Move what was moved aside back, or remove it where its place is taken."""
    if os.path.lexists(target):
        _remove(aside)
    elif os.path.lexists(aside):
        aside.replace(target)


def _remove_unfinished(drafts: Path) -> None:
    """Remove what processes that were killed had half written of a target."""
    # Other processes may remove it, or write there from now on.
    with suppress(FileNotFoundError):
        if drafts.is_file() or drafts.is_symlink():
            drafts.unlink()
        for own in list(drafts.iterdir()):
            if not _is_of_another(own.name):
                _remove(own)


def _make_own(own: Path) -> None:
    """Make the folder of this process, though another process may remove the one around it, which it finds empty."""
    while not own.is_dir():
        with suppress(FileNotFoundError):
            own.mkdir(parents=True)


def _is_of_another(number: str) -> bool:
    """Return whether a number is that of another process that lives."""
    return number.isdecimal() and int(number) != os.getpid() and processes.is_alive(int(number))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
