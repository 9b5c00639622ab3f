"""The files of a repeat: what they hold, which bytes they have, and what is said of one that cannot be read."""

import json
from pathlib import Path

import pytest
import written_results
from pydantic import ValidationError

from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.record_file import FORMAT
from pipeline.core.records import Record
from pipeline.core.scores_record import Scores
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Folder

PLACE = Path("metrics/train/1/record.json")
RECORD = written_results.record_of(1, written_results.settings_of("spa_gca", data="synthetic"))
RUNTIME = written_results.runtime_of(git_changes=None)
SCORES = written_results.scores_of(nll=0.5, calibration_error=0.25)
FILES = {"record": RECORD, "runtime": RUNTIME, "scores": SCORES}


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read_again_and_has_the_same_bytes(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    FILES[name].write(file)
    found = type(FILES[name]).parse(file.read_bytes(), file)
    assert found == FILES[name]
    assert found.dumped() == FILES[name].dumped() == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_a_file_begins_with_its_format(name: str) -> None:
    assert FILES[name].dumped().startswith(f'{{\n  "format": {FORMAT},\n')


def test_scores_come_before_what_they_are_made_of() -> None:
    written = list(json.loads(SCORES.dumped()))
    own = ["accuracy", "macro_f1", "balanced_accuracy", "nll", "calibration_error"]
    assert written == ["format", *own, "test_images", "classes", "confusion", "reliability"]
    assert list(SCORES.by_name) == own


def test_a_score_is_a_number() -> None:
    with pytest.raises(InputError, match=r"^scores\.json: nll: Input should be a valid number"):
        Scores.parse(SCORES.dumped().replace('"nll": 0.5', '"nll": "bad"').encode(), Path("scores.json"))


def test_a_phase_that_compares_no_maps_and_a_network_without_attention_have_no_such_keys() -> None:
    plain = json.loads(RECORD.dumped())
    assert list(plain["phases"][0]) == ["freeze", "amount", "lr", "regularizer", "trainable", "frozen"]
    assert list(plain["flops"]) == ["network"]
    phase = plain["phases"][0] | {"regularizer_parameters": 0, "hooked_layers": [], "idle_layers": ["layer1"]}
    compared = Record.model_validate(plain | {"phases": [phase]})
    assert json.loads(compared.dumped())["phases"] == [phase]


def test_a_record_without_named_groups_has_no_key_for_them_as_in_earlier_versions() -> None:
    assert "division" not in json.loads(RECORD.dumped())
    divided = RECORD.model_copy(update={"division": "d" * 64})
    assert Record.parse(divided.dumped().encode(), PLACE) == divided


def test_the_hash_of_the_data_set_is_beside_the_run_time_alone() -> None:
    assert RUNTIME.data_sha256 in RUNTIME.dumped()
    assert RUNTIME.data_sha256 not in RECORD.dumped()


def test_the_start_is_a_moment_with_its_zone() -> None:
    assert json.loads(RUNTIME.dumped())["started"] == written_results.STARTED
    with pytest.raises(ValidationError, match="timezone"):
        written_results.runtime_of(started="2026-11-21T03:00:00")


def test_a_machine_is_what_does_not_change_from_one_training_to_the_next() -> None:
    other = written_results.runtime_of(train_seconds=1.0, started="2027-01-01T00:00:00+00:00", git_commit="beef")
    assert other.machine == RUNTIME.machine
    assert written_results.runtime_of(threads=3).machine != RUNTIME.machine


READ = f"but this version reads format {FORMAT}"


def without(key: str) -> str:
    plain = json.loads(RECORD.dumped())
    del plain[key]
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"not JSON: .*"),
        ("[]", rf"has no format, but this version reads format {FORMAT}"),
        (without("format"), rf"has no format, but this version reads format {FORMAT}"),
        (
            RECORD.dumped().replace(f'"format": {FORMAT}', '"format": 99'),
            rf"has format 99, but this version reads format {FORMAT}",
        ),
        (without("seed"), "seed: Field required"),
        (RECORD.dumped().replace('"seed": 1', '"seed": 1, "sead": 2'), "sead: Extra inputs are not permitted"),
        (
            RECORD.dumped().replace('"batch_size": 64', '"batch_size": 0'),
            r"recipe\.train\.batch_size: .* equal to 1",
        ),
    ],
    ids=["cut", "no mapping", "old", "new", "lacks a key", "has a key more", "wrong value"],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line_with_the_way_out(content: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^{PLACE}: {message}; `dvc repro` makes it again$") as caught:
        Record.parse(content.encode(), PLACE)
    assert "\n" not in str(caught.value)


def test_records_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RECORD.recipe.network.freeze = "1"  # type: ignore[misc]


def test_a_repeat_is_read_from_its_five_files(tmp_path: Path) -> None:
    history = [{"epoch": 1, "iteration": 2, "train_loss": 0.5}]
    written_results.write_trained(RECORD, history, RUNTIME, root=tmp_path)
    tested = tmp_path / paths.evaluation(1)
    written_results.write_csv(tested / "predictions.csv", ["path", "correct"], [("a.png", 1)])
    SCORES.write(tested / "scores.json")
    digests.seal(tested)
    found = repeats.read(Folder(tmp_path), 1)
    assert (found.number, found.record, found.runtime, found.scores) == (1, RECORD, RUNTIME, SCORES)
    assert found.history == [{"epoch": "1", "iteration": "2", "train_loss": "0.5"}]
    assert found.predictions == [{"path": "a.png", "correct": "1"}]
    assert found.classes == list(RECORD.data.classes)
    (tested / "scores.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"metrics/evaluate/1/scores\.json"):
        repeats.read(Folder(tmp_path), 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no row"),
        (b"path,correct\n", "has no row"),
        (b"path,correct\na.png,1\nb.pn", "row 2 is not as long as the header"),
        (b"path,correct\na.png,1,2\n", "row 1 is not as long as the header"),
        (b'path,correct\n"a.png,1\n', "not a table: unexpected end of data"),
        (b"path,correct\n\xff,1\n", "not a table: .* can't decode byte 0xff"),
    ],
)
def test_a_table_that_is_none_is_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = paths.evaluation(1) / "predictions.csv"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(content)
    digests.seal((tmp_path / path).parent)
    with pytest.raises(InputError, match=rf"^{path}: {message}.*; `dvc repro` makes it again$"):
        repeats.table(Folder(tmp_path), path)
