"""A bundle in MLflow, from the commands of docs/into-use.md: logged, ranked, registered, loaded and served."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clones
import finished_clones
import numpy as np
import pytest
import readme
from clones import PATIENCE, Clone
from finished_clones import Shared
from PIL import Image
from scipy.special import softmax

from pipeline import tracking
from pipeline.assembly import certainty_figures
from pipeline.bundles import bundle, contents
from pipeline.evaluation.compare import repeats

pytestmark = pytest.mark.slow
SERVE, WRITE, ASK = (
    next(command for command in readme.commands() if command.startswith(start))
    for start in ("mlflow models serve", 'echo "{', "curl --silent")
)
PORT = "5001"


@pytest.fixture(scope="module")
def registered(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone whose bundle is a registered model, where this process is."""
    clone = clones.copied(finished_clones.bundled(shared), tmp_path_factory.mktemp("registered"))
    clone.typed("orbweaver sync")
    assert "version 1 has the alias champion: the first to have it" in clone.typed("orbweaver register models/bundle")
    assert "and has the alias champion already" in clone.typed("orbweaver register models/bundle")
    with pytest.MonkeyPatch.context() as patch:
        clone.enter(patch)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{clone.root}/mlflow.db")
        yield clone


def table(place: str) -> list[dict[str, str]]:
    return repeats.table(tracking.Folder(Path()), Path(place))


def wanted(number: int) -> tuple[Path, dict[str, float]]:
    """A test image of the first repeat, and its probabilities by `evaluate`'s scores."""
    row = table("metrics/evaluate/1/predictions.csv")[number]
    logits = np.load("metrics/evaluate/1/logits.npy")[number].astype(np.float64)
    classes = contents.describe(Path("models/bundle")).classes
    return Path("data/collected/images", row["path"]), dict(zip(classes, softmax(logits).tolist(), strict=True))


@pytest.mark.filterwarnings("ignore")
def test_a_logged_bundle_gives_the_probabilities_of_the_record_and_is_ranked_by_its_score(registered: Clone) -> None:
    import mlflow
    import pandas

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    mlflow.set_experiment("orbweaver")
    assert "already there" in registered.typed("orbweaver sync --models")
    order = [{"field_name": "metrics.accuracy", "ascending": False}]
    [model] = mlflow.search_logged_models(order_by=order, output_format="list")
    said = contents.describe(Path("models/bundle"))
    scores = {one.key: one.value for one in model.metrics}
    assert scores == pytest.approx({name: one.value for name, one in said.scores.items()})
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    assert loaded.metadata.metadata["classes"] == list(said.classes)
    assert all(name in str(loaded.metadata.signature.outputs.to_dict()) for name in said.classes)
    rows = [wanted(number) for number in range(7)]
    answers = loaded.predict(pandas.DataFrame({"image": [file.read_bytes() for file, _ in rows]}))
    for answer, (_, probabilities) in zip(answers, rows, strict=True):
        assert answer["probabilities"] == pytest.approx(probabilities, abs=1e-15)
    assert not [file for file in Path("mlruns").rglob("*") if file.suffix in (".pkl", ".pickle")]
    [example] = loaded.predict(loaded.input_example)
    assert example["class"] in said.classes


def test_nothing_that_is_published_shows_or_names_a_photograph_or_a_place(registered: Clone) -> None:
    names = [row["path"] for row in table("data/collected/manifest.csv")]
    every = [file for place in ("mlruns", "models/bundle") for file in Path(place).rglob("*") if file.is_file()]
    # Python itself keeps what it compiles beside a model that is loaded from here.
    files = [file for file in every if "__pycache__" not in file.parts]
    charts = {file.with_suffix("") for file in files if file.suffix == ".svg"}
    figures = (certainty_figures.RELIABILITY, certainty_figures.RISK)
    telling = re.compile("|".join(map(re.escape, [*names, str(registered.root), "data:image/jpeg"])))
    for file in files:
        content = file.read_bytes()
        # PNG, JPEG, GIF and BMP, of which charts, a card's figures and weights are the exception.
        is_image = content.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM"))
        assert not is_image or file.with_suffix("") in charts or file.name in figures, file
        text = content.decode("utf-8", "replace")
        assert not telling.search(text), file
        # The colors of a confusion matrix are an image within its chart.
        assert "data:image/png" not in text or file.suffix == ".svg", file
    from mlflow import MlflowClient

    client = MlflowClient(tracking.uri())
    [experiment] = client.search_experiments(filter_string="name = 'orbweaver'")
    told = [str(run.data) for run in client.search_runs([experiment.experiment_id])]
    told += [str((one.tags, one.params)) for one in client.search_logged_models([experiment.experiment_id])]
    told += [str((one.tags, one.description)) for one in client.search_model_versions()]
    assert len(told) == 2 + 1 + 1 + 1
    assert not telling.search("\n".join(told))


@contextmanager
def server(clone: Clone, port: int) -> Iterator[None]:
    """The server of the docs, answering at a port until the block ends; no process of it is left."""
    command = SERVE.replace(PORT, str(port))
    with (clone.root / "served.log").open("w") as log:
        started = clone.start("bash", "-c", f"exec {command}", stdout=log)
    try:
        until = time.monotonic() + PATIENCE
        while not answers(port):
            assert started.poll() is None, (clone.root / "served.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.2)
        yield
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(timeout=60)
        for _ in range(300):
            try:
                os.killpg(started.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        else:
            os.killpg(started.pid, signal.SIGKILL)
            pytest.fail("a process of the server outlived it")


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(port: int, body: Any) -> tuple[int, Any]:
    """The server's status and answer to a request."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_served_bundle_answers_a_photograph_with_the_number_of_evaluate_and_refuses_in_a_line(
    registered: Clone, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file, probabilities = wanted(3)
    shutil.copyfile(file, "spider.jpg")
    Image.open(file).convert("RGB").resize((640, 480)).save(tmp_path / "large.jpg", quality=90)
    content = base64.b64encode((tmp_path / "large.jpg").read_bytes()).decode()
    with server(registered, port):
        # As the docs have it, with curl.
        told = registered.run("bash", "-c", f"{WRITE} && {ASK.replace(PORT, str(port))}")
        [answer] = json.loads(told)["predictions"]
        assert answer["probabilities"] == pytest.approx(probabilities, abs=1e-15)
        assert answer["probability"] == max(probabilities.values())
        assert answer["class"] == max(probabilities, key=probabilities.__getitem__)
        assert [one["class"] for one in answer["top"]] == sorted(probabilities, key=lambda k: -probabilities[k])[:3]
        # A JPEG of another size, in each form that MLflow takes.
        loaded = bundle.load(Path("models/bundle"), device="cpu")
        logits = loaded.run(loaded.pixels(tmp_path / "large.jpg")[None]).logits[0, 0].astype(np.float64)
        for body in (
            {"dataframe_records": [{"image": content}], "params": {"top": 1}},
            {"dataframe_split": {"columns": ["image"], "data": [[content]]}},
        ):
            status, told_back = ask(port, body)
            assert status == 200
            [answer] = told_back["predictions"]
            assert list(answer["probabilities"].values()) == pytest.approx(softmax(logits).tolist(), abs=1e-12)
        for body, line in (
            ({"dataframe_records": [{"path": "/etc/passwd"}]}, "paths are not accepted; send the file's bytes"),
            ({"dataframe_records": [{"foto": content}]}, "each row needs the column `image`"),
            ({"dataframe_records": [{"image": content}] * 65}, "65 images: from 1 to 64 are accepted per request"),
            (
                {"dataframe_records": [{"image": "bm9uZQ=="}]},
                "image 0: not an image, or damaged",
            ),
        ):
            status, told_back = ask(port, body)
            assert status == 400
            assert line in told_back["message"]
    assert not answers(port)
