"""The tracking server of deploy/ without Docker: a Postgres of Debian's package and MLflow, on 127.0.0.1, for tests."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The account of Debian's package: Postgres does not run as root.
ACCOUNT = "postgres"
# Seconds; a busy machine may need many times what a quiet one does.
PATIENCE = 300


def _programs() -> Path | None:
    """The newest Postgres that is installed."""
    (*_, last) = (None, *sorted(Path("/usr/lib/postgresql").glob("*/bin")))
    return last if last and (last / "initdb").exists() else None


def lacking() -> str:
    """Why there can be none here; empty where there can."""
    return "" if _programs() else "there is no Postgres: apt-get install postgresql"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A server that runs.

    Args:
        folder: of its own, which the account of Postgres can reach; its `deploy` is that of the project.
        command: what starts MLflow, typed in that folder.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self.folder = folder
        self.port, self._database = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        lines = (folder / "deploy/.env").read_text(encoding="utf-8").split()
        self._secrets = dict(line.split("=", 1) for line in lines)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._command = command

    def start(self) -> None:
        self._start_postgres()
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        chosen = {"PGPORT": str(self._database), "MLFLOW_PORT": str(self.port), "PATH": search}
        self._spawn("mlflow", "bash", "-c", self._command, environment=os.environ | chosen)
        self._wait(self._answers)

    def _start_postgres(self) -> None:
        place, programs = self.folder / "postgres", _programs()
        place.mkdir()
        own: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(place, ACCOUNT)
            own = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]
        word = self.folder / "word"
        word.write_text(self._secrets["PGPASSWORD"], encoding="utf-8")
        options = [f"--pgdata={place}/data", "--username=mlflow", f"--pwfile={word}", "--auth=scram-sha-256"]
        with (self.folder / "initdb.log").open("ab") as log:
            words = [*own, f"{programs}/initdb", *options, "--encoding=UTF8", "--no-sync"]
            subprocess.run(words, cwd=self.folder, stdout=log, check=True)
        # No socket of a file: its path would be too long. What is lost by a power cut is lost with the test.
        listens = ["-h", "127.0.0.1", "-p", str(self._database), "-k", "", "-c", "fsync=off"]
        self._spawn("postgres", *own, f"{programs}/postgres", "-D", f"{place}/data", *listens, environment=os.environ)
        reached = {"PGHOST": "127.0.0.1", "PGPORT": str(self._database), "PGUSER": "mlflow"}
        environment = os.environ | reached | {"PGPASSWORD": self._secrets["PGPASSWORD"]}
        make = [f"{programs}/createdb", "mlflow"]
        self._wait(lambda: subprocess.run(make, env=environment, capture_output=True).returncode == 0)

    def _spawn(self, name: str, *words: str, environment: Any) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                words, cwd=self.folder, env=dict(environment), stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(started)

    def _wait(self, until: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not until():
            logs = [file.read_text(encoding="utf-8", errors="replace")[-2000:] for file in self.folder.glob("*.log")]
            assert time.monotonic() < deadline, logs
            assert all(process.poll() is None for process in self._processes), logs
            time.sleep(0.2)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def pause(self) -> None:
        """Stop MLflow without an end: it takes requests and answers none."""
        os.killpg(self._processes[-1].pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._processes[-1].pid, signal.SIGCONT)

    def made_user(self, name: str) -> dict[str, str]:
        """Make a user; the variables that name it to MLflow's clients."""
        word = secrets.token_hex(12)
        admin = b64encode(f"admin:{self._secrets['MLFLOW_AUTH_ADMIN_PASSWORD']}".encode()).decode()
        asked = urllib.request.Request(
            f"{self.address}/api/2.0/mlflow/users/create",
            data=json.dumps({"username": name, "password": word}).encode(),
            headers={"Authorization": f"Basic {admin}", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked, timeout=60).close()
        user = {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": word}
        # Many on a busy machine: a request may take longer than a user would wait.
        return user | {"MLFLOW_TRACKING_URI": self.address, "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}

    def stop(self) -> None:
        """End both, MLflow's workers too."""
        for process in reversed(self._processes):
            for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                if number == signal.SIGTERM:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(20)
            process.wait()


@contextlib.contextmanager
def running(folder: Path, command: str) -> Iterator[Server]:
    """Run a server for the block."""
    server = Server(folder, command)
    try:
        server.start()
        yield server
    finally:
        server.stop()
