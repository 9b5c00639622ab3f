"""`orbweaver mlflow`: bring MLflow up to date, then open its pages."""

import os
import socket
import sys
from collections.abc import Mapping

import click

from pipeline import tracking
from pipeline.core.errors import InputError
from pipeline.experiments.syncing import sync

LIGHT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}

# MLflow's pages have no password, and show and change everything that the store holds.
HOST = "127.0.0.1"
# All runs' curves and scores side by side; by its plain address MLflow opens at what it has for language models.
CHARTS = "http://{host}:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning&compareRunsMode=CHART"


@click.command(name="mlflow")
@click.option("--port", type=click.IntRange(1, 65535), default=5050, show_default=True, help="The port to listen on.")
@click.option(
    "--host",
    default=HOST,
    show_default=True,
    help="The address to listen on; any other than the default may let other machines in.",
)
def command(port: int, host: str) -> None:
    """Bring MLflow up to date, then serve its pages until Ctrl-C."""
    environment = dict(os.environ)
    if not tracking.is_server(tracking.uri()):
        check_free(host, port)
    sync()
    serve(environment, port=port, host=host)


def check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on: MLflow's server ends with exit status 0 there.

    Raises:
        InputError: naming the address and the reason.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as server:
            # As the server does; a port that one has just left is free.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"--host {host} --port {port}: {reason}; choose another port or address") from None


def serve(environment: Mapping[str, str], *, port: int, host: str = HOST) -> None:
    """Run MLflow's server on the local store; where a server keeps the runs, print its address.

    Without its job runner and with one worker it is 2 processes and 0.5 GB, by default 15 and 3 GB.
    """
    place = tracking.uri()
    if tracking.is_server(place):
        print(f"MLflow: {tracking.shown(place)}")
        return
    page = CHARTS.format(host=f"[{host}]" if ":" in host else host, port=port, experiment=tracking.initialize())
    print(f"MLflow: {page} (Ctrl-C ends it)", flush=True)
    words = ["-m", "mlflow", "server", "--backend-store-uri", place, "--workers", "1"]
    words += ["--host", host, "--port", str(port)]
    os.execve(sys.executable, [sys.executable, *words], {**LIGHT, **environment})
