"""The origin of a result: code, versions, commit."""

import hashlib
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core import git, seeding, yaml_limits
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml

LARGEST_CHANGES = 1_000_000
# DVC writes it after each stage, so it differs while a pipeline runs; what it says is recorded by itself.
NO_LOCK = ":(exclude)dvc.lock"
# A patch as `git apply` takes it, whatever git's settings of the user say.
AS_PATCH = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3")
# What a result follows from besides settings and data: a name each, or how names begin.
SOURCES = ("pipeline/", "dvc.yaml", "pyproject.toml", "requirements.lock")
# Those that compute something of a result: scipy in scikit-learn's fits, opencv and imagehash find copies.
COMPUTING = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pillow",
    "scikit-learn",
    "timm",
    "opencv-python-headless",
    "imagehash",
)
# Those that keep and show it.
KEEPING = ("safetensors", "dvc", "mlflow")


def code_hash(stages: tuple[str, ...] = ("split", "train", "evaluate"), *, tracked: bool = False) -> str:
    """Return one SHA-256 over the source files that dvc.yaml names as dependencies of stages.

    The content counts, not the time or the commit: an edit elsewhere, or none, leaves it as it is.

    Args:
        stages: their names.
        tracked: of the files that git tracks alone, as a copy of the project has them; of all outside git.
    """
    total = hashlib.sha256()
    for path in sources(stages, tracked=tracked):
        total.update(f"{path.as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def untracked(stages: tuple[str, ...]) -> list[Path]:
    """Return the Python files among the sources of stages that git does not track; none outside git."""
    files = set(sources(stages)) - set(sources(stages, tracked=True))
    return sorted(file for file in files if file.suffix == ".py")


def sources(stages: tuple[str, ...], *, tracked: bool = False) -> list[Path]:
    """Return the source files that dvc.yaml names as dependencies of stages, sorted; for `tracked` see `code_hash`."""
    described: dict[str, Any] = read_yaml(Path("dvc.yaml"))["stages"]
    named = {Path(dep) for stage in stages for dep in described[stage]["deps"] if dep.startswith("pipeline/")}
    files = _tracked(named) if tracked else set()
    files = files or {file for path in named for file in ([path] if path.is_file() else path.rglob("*"))}
    return sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts)


def versions() -> dict[str, str]:
    """Return the version of Python, and of the installed packages that results depend on."""
    installed = {"python": platform.python_version()}
    for name in (*COMPUTING, *KEEPING):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def commit() -> tuple[str, bool]:
    """Return the commit that is checked out, and whether tracked files differ from it; ("", False) outside git."""
    head = _git("rev-parse", "HEAD")
    return head, bool(head and _git("status", "--porcelain", "--untracked-files=no"))


class Beginning(NamedTuple):
    """When a computation begins, and the working tree then: what `commit` and `changes` return."""

    started: datetime
    commit: str
    dirty: bool
    changes: str | None


def beginning() -> Beginning:
    """Return the time and the state of the working tree as they are now."""
    return Beginning(datetime.now(UTC), *commit(), changes())


def changes() -> str | None:
    """Return the patch from the commit to the working tree, without dvc.lock; "" where they are equal.

    params.yaml is part of it: `dvc exp run -S` changes that file, so an experiment is its commit and these lines.

    Returns:
        The difference, or None where it is of more than a million bytes, or of text that is not UTF-8.
    """
    difference = _printed("diff", *AS_PATCH, "--binary", "--relative", "HEAD", "--", ".", NO_LOCK)
    try:
        return None if len(difference) > LARGEST_CHANGES else difference.decode("utf-8")
    except UnicodeDecodeError:
        return None


def changed_code(patch: str | None) -> tuple[str, ...]:
    r"""Return the source files that a patch of `changes` is of, and not those that hold settings or results.

    >>> changed_code("diff --git a/params.yaml b/params.yaml\n+x\ndiff --git a/pipeline/a.py b/pipeline/a.py\n")
    ('pipeline/a.py',)
    """
    names = re.findall(r'^diff --git "?a/.*? "?b/(.*?)"?$', patch or "", re.MULTILINE)
    return tuple(name for name in dict.fromkeys(names) if name.startswith(SOURCES))


def committed(path: Path) -> Any:
    """Return the content of a YAML file as it is in the commit that is checked out; None where it is in none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = _printed("show", f"HEAD:./{path.as_posix()}").decode("utf-8")
        yaml_limits.check(text, path)
        return YAML(typ="safe").load(text)
    except (InputError, YAMLError, ValueError, LookupError):
        return None


def _git(*words: str) -> str:
    return _printed(*words).decode("utf-8", "replace").strip()


def _printed(*words: str) -> bytes:
    """Return the output of git; empty where there is no git, no repository or no commit."""
    return git.printed(Path(), *words) or b""


def _tracked(places: set[Path]) -> set[Path]:
    """Return the files at some places that git tracks, committed or only added; none outside git."""
    listed = _printed("ls-files", "-z", "--", *(f":(literal){place.as_posix()}" for place in places))
    return {Path(os.fsdecode(name)) for name in listed.split(b"\0") if name}


def processor() -> str:
    """Return the CPU's name and how many cores of it this process may use."""
    return f"{_processor_name()}, {seeding.cores()} cores"


def _processor_name() -> str:
    """Return the CPU's name; on Linux it is in /proc/cpuinfo, and `platform.processor()` is empty."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
