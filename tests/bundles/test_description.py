"""bundle.json is read as it was written, and what is not known is refused in one line."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from described import REPEAT

from pipeline.bundles import description
from pipeline.core.errors import InputError

PLACE = Path("models/bundle/bundle.json")


def said() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(REPEAT.dumped())
    return values


def refused(values: object) -> str:
    with pytest.raises(InputError) as error:
        description.parse(json.dumps(values).encode(), PLACE)
    return str(error.value)


def test_what_is_written_is_read() -> None:
    assert description.parse(REPEAT.dumped().encode(), PLACE) == REPEAT


def test_every_part_is_typed() -> None:
    read = description.parse(REPEAT.dumped().encode(), PLACE)
    assert isinstance(read.members[0], description.Member)
    assert isinstance(read.scores["accuracy"], description.Score)
    for one in fields(read):
        if isinstance(one.type, type):
            assert isinstance(getattr(read, one.name), one.type), one.name


@pytest.mark.parametrize("number", [None, 0, description.FORMAT + 1])
def test_another_format_names_both_numbers(number: int | None) -> None:
    values = {key: value for key, value in said().items() if key != "format"}
    known = "no format" if number is None else f"format {number}"
    assert refused(values | ({} if number is None else {"format": number})) == (
        f"{PLACE}: has {known}, but this version reads format {description.FORMAT}; install the version that made it"
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'"a"'])
def test_what_is_no_description_is_one_line(content: bytes) -> None:
    with pytest.raises(InputError) as error:
        description.parse(content, PLACE)
    assert str(error.value).startswith(f"{PLACE}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["nonsense", None, 1, ["repeat"], {}])
def test_a_word_that_is_none_of_its_kind_is_named_with_those_that_are(value: object) -> None:
    assert refused(said() | {"kind": value}) == (
        f"{PLACE}: kind: {value!r} is not known to this version, which has repeat, ensemble, final; install the one "
        "that made the bundle"
    )


def test_a_missing_key_and_a_key_that_is_not_known_are_named() -> None:
    values = said()
    computation = values["computation"]
    assert refused(values | {"computation": computation | {"colour": 1}}) == (
        f"{PLACE}: computation.colour is not known to this version; install the one that made the bundle"
    )
    del computation["threads"]
    assert "computation.threads is missing" in refused(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", "5"), ("batch_size", True), ("batch_size", 1.5), ("precision", 1), ("device", None)],
)
def test_a_value_of_another_kind_is_named(key: str, value: object) -> None:
    values = said()
    values["computation"][key] = value
    assert refused(values) == f"{PLACE}: computation.{key}: {value!r} has the wrong type; copy the bundle again"


def test_a_member_or_a_score_of_another_form_is_named() -> None:
    values = said()
    assert "members.0.repeat is missing" in refused(values | {"members": [{"file": "weights.safetensors"}]})
    assert "scores.accuracy: a mapping is needed" in refused(values | {"scores": {"accuracy": 1.0}})
    assert "members: a list is needed" in refused(values | {"members": 3})
    assert "classes: a list is needed" in refused(values | {"classes": "spider"})
    assert "scores: a mapping is needed" in refused(values | {"scores": [1]})
