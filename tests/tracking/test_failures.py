"""A server that is away, or refuses: one line, with the variable to set."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline import tracking
from pipeline.core.errors import InputError
from pipeline.tracking.failures import AwayError


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with the status that its path begins with."""

    def do_GET(self):
        self.send_response(int(self.path.split("/")[1]))
        self.end_headers()
        self.wfile.write(b"Permission denied")

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def refusing():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def line(monkeypatch, place, kind=InputError):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    with pytest.raises(InputError) as raised:
        tracking.initialize()
    assert type(raised.value) is kind
    return str(raised.value)


def test_an_unnamed_user_is_told_what_to_set(clone, monkeypatch, refusing):
    said = line(monkeypatch, f"http://{refusing}/401")
    asks = "asks who you are (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    assert said == f"http://{refusing}/401: {asks}"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "refuses the user 'ada' with this password (401): see MLFLOW_TRACKING_USERNAME and "),
        (403, "the user 'ada' may not do this (403): an admin of the server can give MANAGE on the experiment 'mine'"),
    ],
)
def test_a_user_who_is_refused_is_named_and_the_password_is_not(clone, monkeypatch, refusing, status, reason):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    said = line(monkeypatch, f"http://{refusing}/{status}")
    assert reason in said
    assert "secret" not in said


def test_a_gateway_without_its_server_is_one_that_is_away(clone, monkeypatch, refusing):
    said = line(monkeypatch, f"http://{refusing}/502", AwayError)
    assert "does not answer (too many 502 error responses); is MLFLOW_TRACKING_URI right, and the server up?" in said


def test_a_server_that_is_not_there_or_silent_is_away_and_its_password_is_not_shown(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = line(monkeypatch, f"http://ada:secret@127.0.0.1:{port}", AwayError)
        assert said.startswith(f"http://127.0.0.1:{port}: does not answer (Read timed out. (read timeout=1)); is ")
    said = line(monkeypatch, f"http://ada:secret@127.0.0.1:{port}", AwayError)
    assert said.startswith(f"http://127.0.0.1:{port}: does not answer (Connection refused); is ")
