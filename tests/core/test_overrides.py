"""Settings as the words after -S are read back by DVC as they were."""

import pytest

from pipeline.core.overrides import override


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (True, "a=true"),
        (None, "a=null"),
        (1e-05, "a=1e-05"),
        ("3c", "a=3c"),
        ("3e2", "a='3e2'"),
        ("null", "a='null'"),
        ("True", "a='True'"),
        ("inf", "a='inf'"),
        ("nancy", "a=nancy"),
        ("L'épeire", "a='L\\'épeire'"),
        ([1, 2], "a=[1,2]"),
        ([{"freeze": "layer3", "lr": 0.1}], "a=[{freeze:layer3,lr:0.1}]"),
    ],
)
def test_a_value_becomes_the_word_that_dvc_reads_as_it(value: object, word: str) -> None:
    from dvc.utils.hydra import to_hydra_overrides

    assert override("a", value) == word
    (read,) = to_hydra_overrides([word])
    assert read.value() == value
