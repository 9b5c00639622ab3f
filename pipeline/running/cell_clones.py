"""Clones in which a study's cells are set up and run, so that DVC never has the user's own files in its hands.

`dvc exp run`, with `--temp` too, stashes the user's changes, writes params.yaml, and puts both back: killed in between
it leaves them in git's stash and params.yaml without content. In a clone of ours it has nothing of the user's. The
clone shares git's objects and DVC's cache, and what the cell gave is fetched from it as a reference of git.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import psutil

from pipeline.core import paths, provenance
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.holding import clock
from pipeline.experiments import cloning, dvc_config
from pipeline.running import lost_outputs, own_files

PLACE = Path(".dvc/tmp/cells")
LOOK_EVERY = 0.2
# Seconds that what a killed study has left is given to end, as it does by itself, and then after each signal.
PATIENCE = 45.0


class ProjectSnapshot:
    """The user's clone as it is now, committed or not; edits made later reach no cell.

    Args:
        root: the project's root in it.
        commit: what is checked out.
        changes: a commit of the changes that are not committed; empty for those of the files as they are now.
        cache: DVC's cache; empty for that of the clone.

    Raises:
        InputError: if it is no git repository with a commit.
    """

    def __init__(self, root: Path, *, commit: str = "HEAD", changes: str = "", cache: str = "") -> None:
        self.root = root.resolve()
        self._commit = cloning.git(root, "rev-parse", "--verify", commit)
        words = ("diff", *provenance.AS_PATCH, "--no-relative", "--binary", "--full-index", self._commit)
        self._changes = _output(root, "--no-optional-locks", *words, *([changes] if changes else []))
        self._config = root / cloning.git(root, "rev-parse", "--git-common-dir") / "config"
        self._named_cache = cache

    @cached_property
    def _cache(self) -> str:
        """Opened when first asked: DVC takes most of a second to import."""
        return self._named_cache or str(cache_of(self.root))

    def copy(self, name: str) -> Path:
        """Make a clone below the user's.

        Returns:
            The project's root in it.

        Raises:
            InputError: if git cannot make it.
        """
        return self.copy_to(self.root / PLACE / name)

    def copy_to(self, clone: Path) -> Path:
        """Make a clone as the user's is, with the settings of git and DVC that are not committed.

        Returns:
            The project's root in it.

        Raises:
            InputError: if git cannot make it.
        """
        clone.parent.mkdir(parents=True, exist_ok=True)
        project = cloning.make(self.root, clone, self._commit)
        if self._changes:
            cloning.git(clone, "apply", "--index", "--whitespace=nowarn", given=self._changes)
        shutil.copyfile(self._config, clone / ".git/config")
        # A worktree of a bare repository has its settings, and a submodule has a work tree relative to its own folder.
        _unset(clone, "core.worktree")
        cloning.git(clone, "config", "core.bare", "false")
        self._configure_dvc(project)
        lost_outputs.forget(project, lost_outputs.in_cache(Path(self._cache)))
        return project

    def _configure_dvc(self, project: Path) -> None:
        if (own := self.root / dvc_config.FILE).exists():
            shutil.copyfile(own, project / dvc_config.FILE)
        dvc_config.set_local(project, {"cache": {"dir": self._cache}})


def cache_of(root: Path) -> Path:
    """Return the folder of DVC's cache."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return Path(repo.cache.local_cache_dir)


def bring_back(root: Path, name: str) -> None:
    """Take over the experiments that DVC made in a clone, and remove it.

    Raises:
        InputError: if git cannot fetch them.
    """
    clone = root / PLACE / name
    fetch(root, clone)
    remove(root, name)


def fetch(root: Path, clone: Path) -> None:
    """Fetch the experiments of a clone that are not here."""
    here = cloning.experiments(root)
    if new := [f"{ref}:{ref}" for ref in cloning.experiments(clone) if ref not in here]:
        options = ("--quiet", "--no-tags", "--no-write-fetch-head")
        cloning.git(root, *cloning.NO_MAINTENANCE, "fetch", *options, str(clone), *new)


def remove(root: Path, name: str) -> None:
    """Remove a clone."""
    shutil.rmtree(root / PLACE / name, ignore_errors=True)


def is_at_work(root: Path, name: str) -> bool:
    """Return whether an experiment runs in its clone; one that a kill left has nobody in it."""
    clone = root / PLACE / name
    return clone.exists() and bool(of_the_cell(clone))


def take_over(root: Path, say: Callable[[str], None]) -> None:
    """End what a killed study has left running, take over what is finished, and remove the clones.

    An experiment that has read other files of the user's than it is named by is not taken over; the study was killed
    before it looked.

    Args:
        root: the project's root; nobody else may run a study in it.
        say: told what is waited for, and what was removed.
    """
    left = sorted((root / PLACE).glob("*"))
    below = cloning.git(root, "rev-parse", "--show-prefix") if left else ""
    for clone in left:
        end_all_in(clone, say)
        # It may have been killed while the clone was made.
        with suppress(InputError, OSError):
            if changed := own_files.changed_since(clone / below, own_files.noted(clone / below)):
                say(f"{clone.name}: {changed}")
            else:
                fetch(root, clone)
        remove(root, clone.name)
    if left:
        say(f"removed what a killed study left: {counted(len(left), 'copy', 'copies')} in {PLACE}")


def end_all_in(folder: Path, say: Callable[[str], None]) -> None:
    """Wait until nothing of a cell runs in its folder; what does not end by itself is ended, all else left alone."""
    for number, end in enumerate((None, psutil.Process.terminate, psutil.Process.kill)):
        for process in (found := of_the_cell(folder)):
            if number == 0:
                say(f"waiting for {described(process.pid)}, which a killed study left and which ends by itself")
            elif end is not None:
                _try(end, process)
        deadline = time.monotonic() + PATIENCE
        while found and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
            found = of_the_cell(folder)
        if not found:
            break
    for process in at_work_in(folder):
        if not _is_of_a_cell(process):
            say(f"{described(process.pid)} is in {folder}, which is removed; the process is left alone")


def of_the_cell(folder: Path) -> list[psutil.Process]:
    """Return the processes of a cell in its folder, by what they were started with; a shell of the user's is none."""
    return [process for process in at_work_in(folder) if _is_of_a_cell(process)]


def _is_of_a_cell(process: psutil.Process) -> bool:
    try:
        return paths.ROOT_VARIABLE in process.environ()
    except (psutil.Error, OSError):
        return False


def at_work_in(folder: Path) -> list[psutil.Process]:
    """Return the processes whose working directory is a folder or below it, as far as the system tells."""
    place, found = folder.resolve(), []
    for process in psutil.process_iter():
        try:
            where = Path(process.cwd())
            if (where == place or place in where.parents) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def described(number: int) -> str:
    """Return words for a process, such as `process 1234 (dvc repro) since 14:03:10`."""
    try:
        process = psutil.Process(number)
        words = [Path(word).name if place < 2 else word for place, word in enumerate(process.cmdline())]
        told = " ".join(words[1:] if words and words[0].startswith("python") else words)[:60]
        return f"process {number} ({told}) since {clock(process.create_time())}"
    except psutil.Error:
        return f"process {number}"


def _try(end: Callable[[psutil.Process], None], process: psutil.Process) -> None:
    try:
        end(process)
    except psutil.Error:
        return


def _output(root: Path, *words: str) -> str:
    """Return what git prints, to the last line's end."""
    done = subprocess.run(("git", *words), cwd=root, env=cloning.environment(), capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def _unset(clone: Path, name: str) -> None:
    # By the file, from outside: git does not start in a clone whose work tree is not there, as a submodule's may be.
    words = ("git", "config", "--file", str(clone / ".git/config"), "--unset-all", name)
    subprocess.run(words, cwd=clone.parent, env=cloning.environment(), capture_output=True, check=False)
