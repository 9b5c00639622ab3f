"""A cell as a job of a cluster: one file, all that a node needs to run it in a clone of its own."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from pipeline.core.errors import InputError
from pipeline.core.types import Section, first_problem
from pipeline.running.remotes import Remotes

# A cell whose node died, or whose time was over, begins again so often at most, the first time counted.
MOST_STARTS = 3
# The script of an array, beside the jobs' files.
FILE = "job.sh"
SCRIPT = """\
#!/bin/bash
{environment}
for needed in {python} {code} {folder}/"$SLURM_ARRAY_TASK_ID".json; do
  if [ ! -r "$needed" ]; then
    echo "orbweaver: error: $(uname -n) does not see $needed; {way_out}" >&2
    exit 1
  fi
done
# Python takes the package from there, and not from the working tree, which may be edited before this begins.
cd {code} && exec {python} -m pipeline.commands cell {folder}/"$SLURM_ARRAY_TASK_ID".json
"""
# Where a node sees no file of the clone: all jobs are in the script, and no module is taken from where it works (-P).
SCRIPT_ALONE = """\
#!/bin/bash
{environment}
if [ ! -x {python} ]; then
  echo "orbweaver: error: $(uname -n) has no {python}; each node needs the same environment at the same place" >&2
  exit 1
fi
case "$SLURM_ARRAY_TASK_ID" in
{cases}
esac
"""
CASE = """\
{number}) exec {python} -P -m pipeline.commands cell - <<'{end}'
{job}
{end}
;;"""
END = "end-of-the-job"
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
        remotes: through which it goes in place of the clone and its cache; None where the node sees these.
        reference: of git's remote, by which `changes` is fetched.
        prefix: from the repository's top to the project's root.
        record: JSON of a run that is made again in place of an experiment; empty for a cell.
        own: the places of the user's own files that it reads, each with the digest that its name stands for.
    """

    root: Path
    cache: Path
    commit: str
    changes: str
    experiment: str
    overrides: tuple[str, ...]
    scratch: str
    remotes: Remotes | None = None
    reference: str = ""
    prefix: str = ""
    record: str = ""
    own: tuple[tuple[str, str], ...] = ()


def write(job: Job, file: Path) -> None:
    """Write a job's file."""
    file.write_text(job.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(file: Path) -> Job:
    """Read a job's file, or standard input where that is `-`.

    Raises:
        InputError: where it is missing or is none.
    """
    try:
        return Job.model_validate_json(sys.stdin.buffer.read() if file == Path("-") else file.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{file}: not found on this machine; it is on the file system of the clone, which nodes have to share"
        ) from None
    except ValidationError as error:
        raise InputError(f"{file}: {first_problem(error)}; `orbweaver study run` writes such files") from None


def script(folder: Path, code: Path, environment: Sequence[str]) -> str:
    """Return the script of an array of jobs, each of which runs the file of its number.

    Args:
        folder: of the files.
        code: of this package, as it was when they were submitted.
        environment: lines of bash before that.
    """
    named = {"python": sys.executable, "folder": folder, "code": code}
    quoted = {name: shlex.quote(str(value)) for name, value in named.items()}
    return SCRIPT.format(environment="\n".join(environment), way_out=WAY_OUT, **quoted)


def script_alone(array: Sequence[Job], environment: Sequence[str]) -> str:
    """Return the script of an array of jobs that nodes run which see no file of ours."""
    python = shlex.quote(sys.executable)
    cases = [
        CASE.format(number=number, python=python, job=job.model_dump_json(), end=END)
        for number, job in enumerate(array)
    ]
    return SCRIPT_ALONE.format(environment="\n".join(environment), python=python, cases="\n".join(cases))
