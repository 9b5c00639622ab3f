"""A server that is away, or refuses: one line, with the variable to set."""

import errno
import os
import re
import shutil
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import described
import pytest

from pipeline import tracking
from pipeline.core.errors import InputError
from pipeline.tracking import failures, models, registry, saving, store
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


@pytest.mark.parametrize("address", ["htp:/nonsense", "foo://bar", "mlruns", "file:///data/mlruns", "file:mlruns"])
def test_an_address_that_mlflow_does_not_take_names_the_variable(clone, monkeypatch, address):
    said = line(monkeypatch, address)
    assert said.startswith(f"{address}: no address that MLflow takes, such as http://HOST")
    assert said.endswith("set MLFLOW_TRACKING_URI, or unset it")


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


def test_of_a_model_that_is_another_users_the_model_is_named(clone, monkeypatch, refusing):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{refusing}/403")
    with pytest.raises(InputError, match=r"MANAGE on the registered model 'orbweaver-owls' and .*, or --name names a"):
        registry.version_of("orbweaver-owls", "champion")


def test_a_gateway_without_its_server_is_one_that_is_away(clone, monkeypatch, refusing):
    said = line(monkeypatch, f"http://{refusing}/502", AwayError)
    assert "does not answer (too many 502 error responses); is MLFLOW_TRACKING_URI right, and the server up?" in said


def test_a_server_that_is_not_there_or_silent_is_away_and_its_password_is_not_shown(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = line(monkeypatch, f"http://ada:secret@127.0.0.1:{port}", AwayError)
        way_out = "is the server up? MLFLOW_HTTP_REQUEST_TIMEOUT=SECONDS gives it more time"
        assert said == f"http://127.0.0.1:{port}: took longer than 1 s to answer; {way_out}"
    said = line(monkeypatch, f"http://ada:secret@127.0.0.1:{port}", AwayError)
    assert said.startswith(f"http://127.0.0.1:{port}: does not answer (Connection refused); is ")


def test_a_full_disk_of_this_machine_is_told_with_its_place_and_not_as_the_stores(clone, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    source = tmp_path / "code"
    for number in range(3):
        (source / f"{number}").mkdir(parents=True)
        (source / f"{number}/a.py").touch()

    def full(_, copy):
        raise OSError(errno.ENOSPC, "No space left on device", "read.py", None, copy)

    with pytest.raises(InputError) as raised, failures.told_in_a_line():
        shutil.copytree(source, tmp_path / "copy", copy_function=full)
    said = str(raised.value)
    assert re.match(rf"{tmp_path}/copy/\d/a\.py: No space left on device: [\d,.]+ MiB are free there; ", said)
    assert said.endswith("the same command goes on")


def test_an_error_of_the_disk_that_mlflow_hides_behind_its_own_is_told_too(clone, tmp_path):
    # Not before the fixture has made MLflow quiet.
    from mlflow.exceptions import MlflowException

    def save():
        try:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))
        except OSError as error:
            raise MlflowException("The following failures occurred: {'x': OSError(28)}") from error

    with pytest.raises(InputError, match=f"^{tmp_path}/x: No space left on device: "), failures.told_in_a_line():
        save()


class Slow(BaseHTTPRequestHandler):
    """Answers an upload late, and counts it."""

    uploads = 0

    def do_PUT(self):
        type(self).uploads += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(1.5)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def upload(tmp_path, monkeypatch):
    """An upload of a model's files, as `_log` does it, to a server that takes a while."""
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    monkeypatch.setattr(Slow, "uploads", 0)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w" * 1000)
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        place = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", place)

        def log_model_artifacts(_, folder):
            HttpArtifactRepository(f"{place}/artifacts").log_artifacts(folder)

        client = SimpleNamespace(
            create_logged_model=lambda *_, **__: SimpleNamespace(model_id="m"),
            log_outputs=lambda *_: None,
            log_model_artifacts=log_model_artifacts,
            finalize_logged_model=lambda *_: None,
        )
        monkeypatch.setattr(saving, "save", lambda target, folder, *_, **__: shutil.copytree(folder, target))
        yield lambda: models._log(store.Store(client, "0"), "r", tmp_path / "model", described.REPEAT)
        server.shutdown()
        thread.join()


def test_a_models_files_may_take_longer_than_other_requests_and_are_sent_once(clone, monkeypatch, upload):
    monkeypatch.setitem(store.QUIET, failures.TIMEOUT, "1")
    monkeypatch.setenv(failures.TIMEOUT, "1")
    assert upload() == "m"
    assert Slow.uploads == 1
    assert os.environ[failures.TIMEOUT] == "1"


def test_the_time_that_the_user_gives_holds_for_a_models_files_too_and_the_line_names_it(clone, monkeypatch, upload):
    monkeypatch.setenv(failures.TIMEOUT, "1")
    late = r"took longer than 1 s to answer; .* MLFLOW_HTTP_REQUEST_TIMEOUT=SECONDS"
    with pytest.raises(AwayError, match=late), failures.told_in_a_line():
        upload()


def test_an_interrupt_asks_for_no_import_of_what_a_store_can_fail_with(monkeypatch):
    monkeypatch.setattr(failures, "_failures", pytest.fail)
    with pytest.raises(KeyboardInterrupt), failures.told_in_a_line():
        raise KeyboardInterrupt
