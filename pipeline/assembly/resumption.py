"""Where a training keeps its state, under a key over all that it follows from, and whether there is room for it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from pipeline.core import paths, provenance, seeding, space
from pipeline.core.records import Record
from pipeline.core.stopping import StopRequest
from pipeline.training.kept_state import KeptState, remove_finished, remove_old

# Bytes of curves, record and pictures, generously.
OTHERS = 16 * 2**20


class Resumption(NamedTuple):
    """How a stage keeps the state of its long computations.

    Attributes:
        stop: the request to stop.
        minutes: how often a state is written; 0 for only after each phase and where the stage is asked to stop.
    """

    stop: StopRequest
    minutes: float

    def keeper(self, content: Mapping[str, Any], *, name: str) -> KeptState:
        """Return the keeper of one computation, in the user's own clone also for DVC's temporary copies.

        Args:
            content: all that the computation follows from, as plain data; equal content is the same computation.
            name: the stage, for its lines.
        """
        folder = paths.root() / paths.CHECKPOINTS
        remove_old(folder)
        # Other versions compute other digits.
        key = seeding.digest({"content": dict(content), "versions": provenance.versions()})
        return KeptState(folder / key[:32], minutes=self.minutes, stop=self.stop, name=name)


def mark_trained(keeper: KeptState, repeat: int) -> None:
    """Note that a repeat's training is written; its state stays until `remove_trained`: DVC has yet to record it."""
    keeper.mark(_digests(repeat))


def remove_trained(repeat: int) -> None:
    """Remove the state of a repeat's training, which DVC has recorded: the next stage has run."""
    remove_finished(paths.root() / paths.CHECKPOINTS, _digests(repeat))


def _digests(repeat: int) -> str:
    return (paths.trained(repeat) / paths.SUMS).read_text(encoding="utf-8")


# Nobody asks to stop, so that only the end of a phase is written, of one that took half a minute.
NOT_KEPT = Resumption(StopRequest(), 0.0)


def follows_from(record: Record, parts: Mapping[str, Tensor], data_sha256: str) -> dict[str, Any]:
    """Return all that a repeat's training follows from, as plain data."""
    rows = {part: parts[part].tolist() for part in ("train", "val")}
    return {"record": record.model_dump(mode="json"), "rows": rows, "data_sha256": data_sha256}


def check_result_fits(network: nn.Module) -> None:
    """Check, before a training begins, that its result fits on the disk.

    Its checkpoints may not: then a line says so, and the training goes on without.

    Raises:
        InputError: naming the folder, the room there and the room needed.
    """
    folder = paths.trained(1).parent
    folder.mkdir(parents=True, exist_ok=True)
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    space.check_room(folder, OTHERS + weights, way_out="make room, and the same command goes on")
