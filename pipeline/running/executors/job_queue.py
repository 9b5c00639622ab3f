"""SLURM's queue as it was when it last answered, and which jobs that answer was about."""

from collections.abc import Callable, Mapping

from pipeline.core.errors import InputError
from pipeline.running.executors import scheduler
from pipeline.running.executors.submitted import Submitted


class JobQueue:
    """What SLURM says of the jobs of a study.

    Args:
        submitted: the jobs.
        say: prints a line.

    Attributes:
        no_answer: why the last look had no answer; empty where it had one.
    """

    def __init__(self, submitted: Submitted, say: Callable[[str], None]) -> None:
        self.no_answer = ""
        self._submitted = submitted
        self._say = say
        self._states: Mapping[str, tuple[str, str]] = {}
        self._answered_for: set[str] = set()

    def ask(self) -> None:
        """Ask for the jobs of a command before this one, which must not be submitted twice.

        Raises:
            InputError: where SLURM does not answer.
        """
        try:
            self._ask()
        except scheduler.UnreachableError as error:
            raise InputError(f"squeue: {error}; cells may be running there, so try again when it answers") from None

    def look(self) -> None:
        """Ask SLURM; where it does not answer, what it said last holds, and of newer jobs nothing is known."""
        try:
            self._ask()
        except scheduler.UnreachableError as error:
            if str(error) != self.no_answer:
                self._say(f"squeue: {error}; asked again")
            self.no_answer = str(error)

    def _ask(self) -> None:
        jobs = self._submitted.jobs()
        self._states = scheduler.states(jobs)
        self._answered_for, self.no_answer = set(jobs), ""

    def is_known(self, place: str) -> bool:
        """Return whether an answer was about a job's array: only then a job that is not listed has ended."""
        return place.partition("_")[0] in self._answered_for

    def state(self, place: str) -> tuple[str, str]:
        """Return state and reason of a job; two empty words where it is not listed."""
        return self._states.get(place, ("", ""))

    def is_alive(self, place: str) -> bool:
        """Return whether a job waits or runs, or may do so."""
        return not self.is_known(place) or self.state(place)[0] not in {"", *scheduler.ENDED}
