"""What make does beside running the pipeline."""

import os
import subprocess
import sys
from pathlib import Path

import readme


def made(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, with this interpreter's programs, and with nothing to install."""
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "--old-file", ".venv/.ready", "--old-file", ".venv/.develop", *words]
    own = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    environment = own | {"PATH": search} | variables
    return subprocess.run(command, cwd=readme.ROOT, env=environment, capture_output=True, text=True)


def test_an_audit_that_reaches_no_service_says_so_in_a_line_and_fails(tmp_path: Path) -> None:
    done = made("audit", HTTPS_PROXY="http://127.0.0.1:9", XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))
    told, *makes = done.stderr.strip().splitlines()
    assert done.returncode != 0
    assert done.stdout == ""
    assert told.startswith("audit: nothing was checked, the vulnerability service cannot be reached: ")
    assert len(makes) == 1


def test_help_names_every_target_that_is_for_users() -> None:
    told = made("help").stdout
    makefile = (readme.ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = [line for line in makefile.splitlines() if line.startswith(".PHONY: ")]
    assert {line.split()[1] for line in told.splitlines()} == set(phony.split()[1:])
