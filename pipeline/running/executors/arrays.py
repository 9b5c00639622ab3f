"""Cells submitted to SLURM as arrays of jobs, each with the file of its job and its log in the folder of its array."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import stopping
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.experiments import cloning
from pipeline.running import cell_clones, sharing
from pipeline.running.executors import jobs, scheduler, where
from pipeline.running.executors.contract import Task
from pipeline.running.executors.submitted import Submitted
from pipeline.running.remotes import Remotes

# Where a node does not see the clone, logs are in its own folder; the last of an option counts. Jobs do not work in
# that folder: everybody may write to it, and Python takes modules from where it works.
OF_THE_NODE = ("--chdir=/", "--output=/tmp/orbweaver-%A_%a.log")
# This package at each commit that jobs are of.
CODE = "jobs/code"


@dataclass(frozen=True)
class Arrays:
    """The arrays of a study: what they have in common, and how they are submitted.

    Attributes:
        root: the project's root in the user's clone.
        commit: what is checked out in it.
        changes: a commit of what is not committed in it, which no reference keeps yet; empty where all is.
        study: its name.
        folder: of its logs, in which each array gets a folder.
        settings: of where.yaml.
        remotes: through which cells go; None where nodes see the clone.
        at_once: how many cells run at a time; 0 for no limit of ours.
        submitted: where jobs are noted.
        say: prints a line.
    """

    root: Path
    commit: str
    changes: str
    study: str
    folder: Path
    settings: where.Slurm
    remotes: Remotes | None
    at_once: int
    submitted: Submitted
    say: Callable[[str], None]

    def submit(self, tasks: Sequence[Task], logs: Mapping[str, Path]) -> None:
        """Submit cells: one of each group first, so that what the group shares is made once.

        Args:
            tasks: the cells.
            logs: by experiment, what is to lead to its log.

        Raises:
            InputError: where SLURM or a remote refuses; changes that no job needs are kept no longer then.
        """
        changes, common = self._common()
        try:
            self._submit_all(tasks, logs, changes, common)
        except BaseException:
            if changes and not self.submitted.needs(changes):
                self.drop(changes)
            raise

    def drop(self, changes: str) -> None:
        """Let git remove a commit of changes, here and in the remote, and remove the code of its jobs."""
        shutil.rmtree(self.folder / CODE / changes, ignore_errors=True)
        cloning.drop_changes(self.root, changes)
        if self.remotes:
            try:
                sharing.drop_commit(self.root, self.remotes, changes, self.study)
            except InputError as error:
                self.say(f"{error}; below {cloning.CHANGES} stays what no job needs any more")

    def _submit_all(
        self, tasks: Sequence[Task], logs: Mapping[str, Path], changes: str, common: Mapping[str, Any]
    ) -> None:
        of_group = {task.group: task for task in reversed(tasks)}
        first = [task for task in tasks if of_group[task.group] is task]
        leading = {task.experiment for task in first}
        rest = [task for task in tasks if task.experiment not in leading]
        most, leaders, after = scheduler.array_size(), list[str](), list[str]()
        for array in (*_chunks(first, most), *_chunks(rest, most)):
            leads = array[0].experiment in leading
            if not leads and not self.at_once:
                # A limit is one of all arrays together: then they run one after another.
                after = leaders
            job = self._submit(array, self._written(array, common, logs), after, changes)
            leaders += [job] if leads else []
            after = [job] if self.at_once else []

    def _common(self) -> tuple[str, dict[str, Any]]:
        """Keep the clone's changes; return the commit that is to be dropped in the end, and what all jobs have."""
        commit, changes, reference = self.commit, self.changes, ""
        if changes:
            cloning.keep_changes(self.root, changes)
        if self.remotes:
            # Nodes fetch the commit by it, also where all is committed.
            changes = changes or commit
            try:
                reference = sharing.keep_commit(self.root, self.remotes, changes, self.study)
            except BaseException:
                cloning.drop_changes(self.root, changes)
                raise
        return changes, {
            "root": self.root,
            "cache": cell_clones.cache_of(self.root),
            "commit": commit,
            "changes": changes or commit,
            "scratch": self.settings.scratch,
            "remotes": self.remotes,
            "reference": reference,
            "prefix": cloning.git(self.root, "rev-parse", "--show-prefix"),
        }

    def _written(self, array: Sequence[Task], common: Mapping[str, Any], logs: Mapping[str, Path]) -> Path:
        """Write jobs and script into a folder of their own, and return the script."""
        folder = self.folder / "jobs"
        last = max((int(one.name) for one in folder.glob("[0-9]*")), default=-1)
        folder /= f"{last + 1:04d}"
        folder.mkdir(parents=True)
        of_array = [
            jobs.Job(**common, experiment=task.experiment, overrides=task.overrides, record=task.record, own=task.own)
            for task in array
        ]
        for number, job in enumerate(of_array):
            jobs.write(job, folder / f"{number}.json")
            _link(logs[job.experiment], folder / f"{number}.log")
        lines, script = self.settings.environment, folder / jobs.FILE
        alone = bool(self.remotes)
        text = jobs.script_alone(of_array, lines) if alone else jobs.script(folder, self._code(common), lines)
        script.write_text(text, encoding="utf-8")
        return script

    def _code(self, common: Mapping[str, Any]) -> Path:
        """Return a folder with this package as it is now, which jobs that begin later run too."""
        commit: str = common["changes"]
        code = self.folder / CODE / commit
        if not code.exists():
            cloning.export(self.root, commit, f"{common['prefix']}pipeline", code / "pipeline")
        return code

    def _submit(self, array: Sequence[Task], script: Path, after: Sequence[str], changes: str) -> str:
        # Else the scheduler has a job that nobody knows of, and nobody cancels.
        with stopping.held_back():
            job = scheduler.submit(
                script,
                count=len(array),
                at_once=self.at_once,
                after=after,
                options=[*self.settings.options(), *(OF_THE_NODE if self.remotes else [])],
                name=f"orbweaver-{self.study}",
            )
            self.submitted.add(job, [task.experiment for task in array], changes)
        self.say(f"job {job}: {counted(len(array), 'cell')}" + (f", after job {', '.join(after)}" if after else ""))
        return job


def _chunks(tasks: Sequence[Task], most: int) -> Iterator[Sequence[Task]]:
    """Yield what goes into one array each."""
    for start in range(0, len(tasks), most):
        yield tasks[start : start + most]


def _link(link: Path, log: Path) -> None:
    """Have the cell's log lead to that of its job, which is SLURM's to write."""
    link.unlink(missing_ok=True)
    link.symlink_to(log)
