"""Clones of the project with a tiny recipe, in which dvc itself is run as a user runs it.

Those of `make_stubbed` have stages that write small files at once (stubs.py), for facts that are DVC's: what runs
again, what is refused, what survives. Those of `make_clone` are the project as it is.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import readme
import stubs
import tiny
import yaml

from pipeline.core.files import read_yaml
from pipeline.tracking import store

PROJECT = Path(__file__).parents[1]
# Seconds; a busy machine may need many times what a quiet one does.
PATIENCE = 1500
# Variables of a surrounding DVC or MLflow, or of git.
FOREIGN = ("DVC_", "MLFLOW_", "GIT_")
# The folder of a copy, with what a user's may have: a blank, and a letter that is not ASCII.
COPY = "Zoë's spiders"
# What `orbweaver bundle` leaves in the clone that the tests run in.
OF_A_BUNDLE = ("models/dvc.yaml", "models/dvc.lock")
# What a clone with stubs needs of the project.
STUBBED_PLACES = ("pipeline", "studies", "data", "models", "metrics", ".dvc", ".dvcignore", ".gitignore", "dvc.yaml")
# What the pipeline writes, and git keeps.
GENERATED = ("data/recipe.yaml", "dvc.lock", "metrics/summary.json", "metrics/curves.csv")
DEFINITION: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def stages(*names: str, repeats: Iterable[int] = (1,)) -> set[str]:
    """Stages as DVC calls them: with the repeat where dvc.yaml has one of each."""
    numbers = list(repeats)
    return {
        f"{name}@{number}" if "matrix" in DEFINITION[name] else name
        for name in names or DEFINITION
        for number in numbers
    }


def ran(told: str) -> list[str]:
    """The stages that DVC says it ran."""
    return re.findall(r"Running stage '([^']+)'", told)


class Clone:
    """A working copy of the project, and the commands that are given in it.

    Args:
        root: where it is.
        home: the user's own folder, with git's settings and DVC's state.
        first: folders that Python looks into before all others; an editable installation leads to the project itself.
    """

    def __init__(self, root: Path, home: Path, *, first: str = "") -> None:
        self.root = root
        (home / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n", encoding="utf-8")
        # Nor what has Python compile anew at each start what it imports, which takes longer than all that DVC does.
        left_out = (*FOREIGN, "PYTEST_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        }
        if first:
            self.environment["PYTHONPATH"] = first

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command in a process group of its own."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            words, cwd=self.root, env=self.environment, text=True, start_new_session=True, **streams | options
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command and give what it printed; fails unless it ends with `code`.

        Through a file: a pipe would stay open as long as anything that the command leaves running.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
            child = self.start(*words, stdout=printed)
            try:
                child.wait(timeout=PATIENCE)
            finally:
                printed.seek(0)
                told = printed.read()
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
                    print(told)
        assert child.returncode == code, told
        return told

    def typed(self, command: str, more: str = "", put: dict[str, str] | None = None) -> str:
        """Run a command of the README in a shell, as a reader types it.

        Args:
            command: as the README has it.
            more: words of the test's own behind it.
            put: what takes the place of words that stand for the reader's own.
        """
        assert command in readme.commands()
        for word, own in (put or {}).items():
            command = command.replace(word, own)
        return self.run("bash", "-c", f"{command} {more}")

    def values(self) -> dict[str, Any]:
        """What params.yaml holds."""
        found: dict[str, Any] = read_yaml(self.root / "params.yaml")
        return found

    def params(self, **changes: Any) -> None:
        """Change keys at the top of params.yaml, which stays readable by DVC."""
        text = yaml.safe_dump(self.values() | changes, sort_keys=False)
        (self.root / "params.yaml").write_text(text, encoding="utf-8")

    def recipes(self, *names: str) -> None:
        """Keep these recipes alone, from here or else from the project: DVC reads the file many times in a run."""
        every = tiny.shipped()["recipes"] | self.values()["recipes"]
        self.params(recipes={name: every[name] for name in names})

    def outputs(self) -> dict[str, str]:
        """The hash of every output that dvc.lock names."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def content(self) -> dict[Path, bytes]:
        """Every file of the outputs that dvc.lock names."""
        places = [self.root / path for path in self.outputs()]
        files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
        return {file: file.read_bytes() for file in files}

    def commit(self) -> None:
        """Commit what is tracked, dvc.lock too."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "state")

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this process one that was started here, for commands that are called and not run."""
        monkeypatch.chdir(self.root)
        for name in [name for name in os.environ if name.startswith(FOREIGN)]:
            monkeypatch.delenv(name)
        for name, value in {**store.QUIET, **self.environment}.items():
            monkeypatch.setenv(name, value)

    def unstub(self, *names: str) -> None:
        """Put the project's own stages back."""
        for name in names:
            shutil.copy2(PROJECT / f"pipeline/stages/{name}.py", self.root / f"pipeline/stages/{name}.py")
        self.commit()


def listed(*places: str) -> list[str]:
    """What git would commit, all or below some places."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *places]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    own = {"", "dvc.lock", *OF_A_BUNDLE}
    return [name for name in done.stdout.split("\0") if name not in own and (PROJECT / name).is_file()]


def copy_project(root: Path, *places: str) -> None:
    """Copy what git would commit, all or some places."""
    for name in listed(*places):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, root / name)


def make_clone(root: Path, home: Path) -> Clone:
    """The project with the recipe cut to seconds, committed; nothing has run in it."""
    copy_project(root)
    return _committed(Clone(root, home), tiny.every_recipe())


def make_stubbed(root: Path, home: Path) -> Clone:
    """The same with stubs for all stages but `validate`, and with the quick recipe alone."""
    copy_project(root, *STUBBED_PLACES, "params.yaml")
    shutil.copy2(stubs.__file__, root / "pipeline/stages/stubs.py")
    for name in stubs.STAGES:
        (root / f"pipeline/stages/{name}.py").write_text(stubs.text(name), encoding="utf-8")
    return _committed(Clone(root, home), tiny.values())


def _committed(clone: Clone, values: dict[str, Any]) -> Clone:
    clone.run("git", "init", "--quiet", "--initial-branch", "main")
    clone.params(**values)
    clone.commit()
    return clone


def copied(clone: Clone, place: Path, name: str = COPY) -> Clone:
    """A clone of one's own in a folder of this name, without MLflow's store, whose places are absolute."""
    root = place / name
    shutil.copytree(clone.root, root, symlinks=True, ignore=shutil.ignore_patterns("mlruns", "mlflow.db*", "tmp"))
    return Clone(root, place)


def sets(overrides: str) -> list[str]:
    """The words of `dvc exp run` for overrides with spaces between them."""
    return [word for override in overrides.split() for word in ("-S", override)]


def experiments(clone: Clone) -> list[str]:
    """Git's names of DVC's experiments."""
    return clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps/??/*/*").split()


def _queue_status(clone: Clone) -> str:
    """Ask DVC, which now and then reads a worker's file while that is written, and ends with an error of JSON."""
    try:
        return clone.run("dvc", "queue", "status")
    except AssertionError as error:
        if not re.search(r"unexpected error - (Extra data|Expecting)", str(error)):
            raise
        return "Running"


def work_off_the_queue(clone: Clone, count: int) -> None:
    """Wait for what was started; on a busy machine DVC's workers may stop before the queue is empty.

    Git is asked, and DVC now and then, which takes a second each time.
    """
    deadline, asked = time.monotonic() + PATIENCE, time.monotonic()
    told = "Queued"
    while re.search(r"\b(Queued|Running)\b", told):
        assert time.monotonic() < deadline, told
        if len(experiments(clone)) < count and time.monotonic() - asked < 60:
            time.sleep(1)
            continue
        told, asked = _queue_status(clone), time.monotonic()
        if "Queued" in told and "Worker status: 0 active, 0 idle" in told:
            clone.run("dvc", "queue", "start", "-j", "2")
