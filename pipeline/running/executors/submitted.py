"""The jobs that a study has submitted, in a file, so that a later command attaches to them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pipeline.core import paths

# Beside the logs of the study's cells.
RECORD = "slurm.json"


class Submitted:
    """The jobs that were submitted, in a file that a later command reads.

    Args:
        file: JSON; by SLURM's number the experiments in the order of the array, and the commit of the changes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._jobs: dict[str, tuple[list[str], str]] = {}
        with suppress(FileNotFoundError, ValueError):
            stored = json.loads(file.read_text(encoding="utf-8"))
            self._jobs = {job: (list(names), str(changes)) for job, (names, changes) in stored.items()}
        self._places = self._placed()

    @property
    def places(self) -> Mapping[str, str]:
        """The job of each experiment, as SLURM names it; the newest where there are several."""
        return self._places

    def _placed(self) -> dict[str, str]:
        # Once a change of the jobs: it is asked for every cell at every look.
        return {name: f"{job}_{place}" for job, (names, _) in self._jobs.items() for place, name in enumerate(names)}

    def jobs(self) -> list[str]:
        """Return SLURM's numbers."""
        return list(self._jobs)

    def words(self, experiments: set[str]) -> str:
        """Return words for the jobs of some experiments."""
        numbers = dict.fromkeys(self.places[name].partition("_")[0] for name in sorted(experiments))
        return f"job{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"

    def add(self, job: str, experiments: list[str], changes: str) -> None:
        """Note a job."""
        self._jobs[job] = (experiments, changes)
        self._places = self._placed()
        self._write()

    def needs(self, changes: str) -> bool:
        """Return whether a job may need a commit of changes."""
        return any(changes == commit for _, commit in self._jobs.values())

    def keep(self, jobs: set[str]) -> set[str]:
        """Note that all others have ended; return the commits of changes that nobody needs any more."""
        before = {changes for _, changes in self._jobs.values()}
        self._jobs = {job: entry for job, entry in self._jobs.items() if job in jobs}
        self._places = self._placed()
        self._write()
        return before - {changes for _, changes in self._jobs.values()} - {""}

    def _write(self) -> None:
        if self._jobs:
            with paths.written_whole(self._file) as partial:
                partial.write_text(json.dumps(self._jobs, indent=1) + "\n", encoding="utf-8")
        else:
            self._file.unlink(missing_ok=True)
