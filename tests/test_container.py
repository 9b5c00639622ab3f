"""The Dockerfile: what it copies, who runs in it, and its steps in a clean environment, since Docker is in no test."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import clones
import pytest
import tiny

ROOT = clones.PROJECT
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
STEPS = [tuple(line.split(maxsplit=1)) for line in TEXT.splitlines() if line and not line.startswith("#")]
ENVIRONMENT = dict(word.split("=", 1) for word in shlex.split(dict(STEPS)["ENV"]))


def steps(name: str) -> list[str]:
    return [rest for instruction, rest in STEPS if instruction == name]


def copied() -> list[Path]:
    """The files of the project that are copied into the image."""
    words = [word for step in steps("COPY") for word in step.split()[:-1] if not word.startswith("--")]
    return [Path(word) for word in words]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone after the test: an environment is of some gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_the_image_is_named_without_a_registry() -> None:
    assert re.fullmatch(r"python:\d\.\d+-slim", steps("FROM")[0])


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n", 1)[1].split()
    assert ignored[0] == "*"
    assert sorted(ignored[1:]) == sorted(f"!{file}" for file in copied())
    assert all((ROOT / file).is_file() for file in copied())


def test_the_user_is_not_root_and_owns_what_is_written() -> None:
    names = [instruction for instruction, _ in STEPS]
    assert steps("USER") == ["$UID"]
    assert re.findall(r"^UID=(\d+)$", "\n".join(steps("ARG"))) == ["1000"]
    assert names.index("USER") < names.index("WORKDIR") < names.index("CMD")
    assert all(step.startswith("--chown=orbweaver ") for step in steps("COPY"))
    (made,) = [step for step in steps("RUN") if "useradd" in step]
    assert f"--owner orbweaver /project {ENVIRONMENT['ORBWEAVER_VENV']} /cache " in made
    assert [Path(ENVIRONMENT[name]).parent for name in ("ORBWEAVER_CACHE", "TORCH_HOME")] == [Path("/cache")] * 2


def test_the_dev_container_is_the_same_image_user_and_place() -> None:
    settings = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert (ROOT / ".devcontainer" / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (ROOT / ".devcontainer" / settings["build"]["context"]).resolve() == ROOT
    assert [settings["workspaceFolder"]] == steps("WORKDIR")
    assert f"target={settings['workspaceFolder']}," in settings["workspaceMount"]
    assert f'useradd --create-home --uid "$UID" --shell /bin/bash {settings["remoteUser"]}' in "".join(steps("RUN"))
    interpreter = settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == f"{ENVIRONMENT['ORBWEAVER_VENV']}/bin/python"


@pytest.mark.slow
def test_its_steps_make_an_environment_in_which_a_mounted_clone_runs(place: Path) -> None:
    """With the locked versions from uv's cache, by which alone this differs from the Dockerfile's last step."""
    project, venv = place / "project", place / "venv"
    for file in copied():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, project / file)
    programs = place / "bin"
    programs.mkdir()
    for name in ("git", "make", "uv"):
        (programs / name).symlink_to(
            str(shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"))
        )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((*clones.FOREIGN, "VIRTUAL_ENV", "PYTHON"))
    }
    environment = kept | {
        "ORBWEAVER_VENV": str(venv),
        "PATH": f"{venv}/bin:{programs}:/usr/bin:/bin",
        "DVC_SITE_CACHE_DIR": str(place / "site"),
    }

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    last = steps("RUN")[-1]
    assert last == "UV_NO_CACHE=1 make setup"
    run("make", "setup", f"PYTHON={sys.executable}")
    clones.copy_project(project)
    clone = clones.Clone(project, place)
    clone.params(**tiny.every_recipe())
    clone.run("git", "init", "--quiet")
    command: list[str] = json.loads(steps("CMD")[0])
    assert command == ["dvc", "repro"]
    assert "Running stage 'collect'" in run(*command, "collect")
    assert (project / "data/collected/manifest.csv").is_file()
    assert run("orbweaver", "--version").startswith("orbweaver, version 0.2.")
    # Not by the folder that it was started in.
    assert run("python", "-P", "-c", "import pipeline.stages; print(pipeline.__file__)").startswith(str(project))
