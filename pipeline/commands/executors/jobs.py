"""A cell as a job of a cluster: one file, all that a node needs to run it in a clone of its own."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from pipeline.core.errors import InputError
from pipeline.core.types import Section

# A cell whose node died, or whose time was over, begins again so often at most, the first time counted.
MOST_STARTS = 3
SCRIPT = """\
#!/bin/bash
{environment}
for needed in {python} {folder}/"$SLURM_ARRAY_TASK_ID".json; do
  if [ ! -r "$needed" ]; then
    echo "orbweaver: error: $(uname -n) does not see $needed; {way_out}" >&2
    exit 1
  fi
done
exec {python} -m pipeline.commands cell {folder}/"$SLURM_ARRAY_TASK_ID".json
"""
WAY_OUT = "clone and environment have to be on a file system that the nodes share"


class Job(Section):
    """A cell that a node runs.

    Attributes:
        root: the project's root in the user's clone.
        cache: DVC's cache, which clone and node share.
        commit: what is checked out.
        changes: the commit of the user's changes that were not committed; `commit` itself where there are none.
        experiment: DVC's name for the cell, which has the key of its content.
        overrides: what is put into params.yaml, as after -S.
        scratch: a folder of the node, which may name the node's variables.
        record: JSON of a run that is made again in place of an experiment; empty for a cell.
    """

    root: Path
    cache: Path
    commit: str
    changes: str
    experiment: str
    overrides: tuple[str, ...]
    scratch: str
    record: str = ""


def write(job: Job, file: Path) -> None:
    """Write a job's file."""
    file.write_text(job.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(file: Path) -> Job:
    """Read a job's file.

    Raises:
        InputError: where it is missing or is none.
    """
    try:
        return Job.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{file}: this machine sees no such file; it is on the file system of the clone") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{file}: {place}: {first['msg']}; `orbweaver study run` writes such files") from None


def script(folder: Path, environment: Sequence[str]) -> str:
    """Return the script of an array of jobs, each of which runs the file of its number.

    Args:
        folder: of the files.
        environment: lines of bash before that.
    """
    quoted = {name: shlex.quote(str(value)) for name, value in {"python": sys.executable, "folder": folder}.items()}
    return SCRIPT.format(environment="\n".join(environment), way_out=WAY_OUT, **quoted)
