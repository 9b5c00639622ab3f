"""A clone of the project with a tiny recipe, in which dvc itself is run as a user runs it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import readme
import yaml

PROJECT = Path(__file__).parents[2]
# Seconds; a busy machine may need many times what a quiet one does.
PATIENCE = 1500


def environment(home: Path) -> dict[str, str]:
    """The user's, with this interpreter's programs first, without what a surrounding DVC or MLflow would add."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "GIT_"))}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
    }


class Clone:
    """A working copy of the project, and the commands that are given in it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.environment = environment(home)

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

    def params(self, **changes: Any) -> None:
        """Change keys at the top of params.yaml, which stays readable by DVC."""
        file = self.root / "params.yaml"
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(values | changes, sort_keys=False), encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        """The hash of every output that dvc.lock names."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def commit(self) -> None:
        """Commit what is tracked, dvc.lock too."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "state")


def ran(told: str) -> list[str]:
    """The stages that DVC says it ran."""
    return re.findall(r"Running stage '([^']+)'", told)


def make_clone(root: Path, home: Path) -> Clone:
    """Copy what git would commit, cut the recipe to seconds, and commit it."""
    (home / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n", encoding="utf-8")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if name != "dvc.lock" and (PROJECT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, root / name)
    clone = Clone(root, home)
    clone.run("git", "init", "--quiet", "--initial-branch", "main")
    clone.params(**tiny(yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))))
    clone.commit()
    return clone


def tiny(values: dict[str, Any]) -> dict[str, Any]:
    """The quick recipe in seconds: few small images, one epoch, one repeat."""
    quick = values["papers"]["quick"]
    quick["data"]["image_size"] = 48
    quick["train"]["budget"] = {"unit": "epochs", "amount": 1}
    return {
        "repeats": [1],
        "device": "cpu",
        "threads": 1,
        "synthetic": {"images_per_class": 6, "size": 48, "seed": 0},
        "synthetic_source": values["synthetic_source"] | {"images": 100, "image_size": 48},
        "papers": values["papers"],
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone in which `dvc repro` has run once, and what it printed; to be read, not changed."""
    home = tmp_path_factory.mktemp("home")
    clone = make_clone(tmp_path_factory.mktemp("clone"), home)
    told = clone.typed("make repro", readme.INSTALLED)
    clone.commit()
    return clone, told


@pytest.fixture
def clone(finished: tuple[Clone, str], tmp_path: Path) -> Clone:
    """A finished clone of one's own, without MLflow's store, whose places are absolute."""
    root = tmp_path / "project"
    shutil.copytree(finished[0].root, root, symlinks=True)
    shutil.rmtree(root / "mlruns", ignore_errors=True)
    (root / "mlflow.db").unlink(missing_ok=True)
    (tmp_path / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n", encoding="utf-8")
    copied = Clone(root, tmp_path)
    copied.run("dvc", "status")
    return copied


@pytest.fixture(scope="session")
def stages_ran() -> Callable[[str], list[str]]:
    """Reads which stages DVC ran from what it printed."""
    return ran


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Clone]:
    """Makes clones in which nothing has run."""

    def make(name: str) -> Clone:
        (tmp_path / name).mkdir()
        return make_clone(tmp_path / name, tmp_path)

    return make
