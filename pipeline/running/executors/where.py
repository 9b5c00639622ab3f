"""The file where.yaml: what a cell requests of a cluster."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from pipeline.config import messages
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.core.types import Section, Threads, Whole, as_text

FILE = Path("where.yaml")
INIT = "`orbweaver study where --init` writes one with comments"
EXAMPLE = """\
# The resources of each cell of `orbweaver study run NAME --on slurm`, and how machines share cells. Not in git: it
# describes this cluster.
slurm:
  # The first five are options of sbatch; '' omits one.
  partition: ''
  account: ''
  gres: ''                # such as gpu:1; cells then use device: cuda
  time: '04:00:00'        # per cell; two minutes before the end, it writes a checkpoint and is queued again
  memory: 16G             # per cell
  cpus: 4                 # per cell, and the number of its threads
  scratch: $TMPDIR        # a folder on the node's local disk; variables are expanded on the node
  environment: []         # lines of bash to run before a cell, such as module load apptainer
  at_once: 0              # how many cells run at the same time; 0 for no limit
  device: auto            # cpu | cuda | auto (cuda if gres requests a GPU)
# Only for machines without a shared file system: the names of a git remote and of a DVC remote that pass cells on.
# remotes:
#   git: origin
#   dvc: storage
"""


def _word(value: str) -> str:
    if value.split() != ([value] if value else []):
        raise ValueError("one word is needed, as sbatch takes it")
    return value


def _line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("one line is needed; give several lines as a list")
    return value


def _place(value: str) -> str:
    if not value.startswith(("/", "$")):
        raise ValueError("an absolute path is needed, or a variable of the node such as $TMPDIR")
    return _line(value)


Word = Annotated[str, BeforeValidator(as_text), AfterValidator(_word)]
Line = Annotated[str, AfterValidator(_line)]


class Slurm(Section):
    """The share of a SLURM cluster that a cell has.

    Attributes:
        partition: as sbatch takes it, empty for its default; so are account, gres, time and memory.
        cpus: cores and threads of a cell.
        scratch: a folder of the node, which may name the node's variables.
        environment: lines of bash before the cell.
        at_once: how many cells run at a time; 0 for no limit of ours.
        device: where cells compute; `auto` follows from gres.
    """

    partition: Word = ""
    account: Word = ""
    gres: Word = ""
    time: Word = ""
    memory: Word = ""
    cpus: Threads
    scratch: Annotated[str, AfterValidator(_place)]
    environment: tuple[Line, ...] = ()
    at_once: Annotated[Whole, Field(ge=0)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def computes_on(self) -> str:
        """Return the device of its cells, which DVC's run cache does not know: `auto` would mix machines.

        Raises:
            InputError: where it follows from nothing.
        """
        if self.device != "auto":
            return self.device
        if "gpu" in self.gres:
            return "cuda"
        raise InputError(f"{FILE}: slurm.device: auto needs a GPU in gres; set cpu or cuda")

    def options(self) -> list[str]:
        """Return the options of sbatch."""
        named = {
            "partition": self.partition,
            "account": self.account,
            "gres": self.gres,
            "time": self.time,
            "mem": self.memory,
        }
        return [f"--cpus-per-task={self.cpus}", *(f"--{name}={value}" for name, value in named.items() if value)]


class RemoteNames(Section):
    """The remotes by which machines share cells, by their names in this clone."""

    git: Word
    dvc: Word


class Where(Section):
    """The whole file."""

    slurm: Slurm | None = None
    remotes: RemoteNames | None = None


def slurm() -> Slurm:
    """Return what where.yaml says of a cluster.

    Raises:
        InputError: where it says nothing, is missing or wrong, in a line.
    """
    if (found := read().slurm) is None:
        raise InputError(f"{FILE}: slurm: missing; {INIT}")
    return found


def read() -> Where:
    """Return what where.yaml says.

    Raises:
        InputError: where it is missing or wrong, in a line.
    """
    try:
        values = read_yaml(FILE)
    except FileNotFoundError:
        raise InputError(f"{FILE}: no such file; {INIT}") from None
    if not isinstance(values, dict):
        raise InputError(f"{FILE}: a mapping with the keys slurm, remotes or both is needed; {INIT}")
    try:
        return Where.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{FILE}: {messages.one_line(error, values, Where, lambda name: name)}") from None


def write() -> None:
    """Write one with comments.

    Raises:
        InputError: where there is one.
    """
    if FILE.exists():
        raise InputError(f"{FILE}: already exists; edit it, or move it away")
    FILE.write_text(EXAMPLE, encoding="utf-8")
