"""The measurement of how strong a regularizer's term should be, and what the docs say of it."""

import json
import re

import pytest
import readme
import strengths
import tiny


def row(method: str, alpha: float, repeat: int, accuracy: float) -> dict[str, object]:
    return {"set": "one", "repeat": repeat, "method": method, "alpha": alpha, "accuracy": accuracy}


def test_a_strength_is_compared_with_the_plain_training_on_the_same_division() -> None:
    plain = [row(strengths.PLAIN, 0.0, 1, 0.5), row(strengths.PLAIN, 0.0, 2, 0.7)]
    [_, found] = strengths.summary([*plain, row("spa", 0.1, 2, 0.8), row("spa", 0.1, 1, 0.3)])
    assert (found["one"], found["gain"], found["n"]) == (55.0, -5.0, 2)
    # Of the gains 10 and -20.
    assert found["standard_error"] == 15.0


def test_the_docs_have_the_numbers_of_the_results_and_the_default_of_params_yaml() -> None:
    rows = json.loads(strengths.RESULT.read_text(encoding="utf-8"))["rows"]
    by_name = {(one["method"], one["alpha"]): one for one in rows}
    text = (readme.ROOT / "docs/training.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (1e-\d)[^|]*((?:\| [-+.\d]+ ± [.\d]+ )+)\|$", text, re.MULTILINE)
    assert len(table) == len(strengths.ALPHAS)
    for alpha, cells in table:
        for method, cell in zip(strengths.METHODS, cells.strip("| ").split(" | "), strict=True):
            one = by_name[method, float(alpha)]
            assert cell == f"{one['gain']:+z.1f} ± {one['standard_error']:.1f}"
    defaults = tiny.shipped()["options"]["regularizer"]
    assert [defaults[method]["alpha"]["default"] for method in strengths.METHODS] == [pytest.approx(1e-4)] * 4
    assert "1e-4, the default" in text


def test_the_docs_have_the_numbers_of_delta_and_its_default() -> None:
    rows = json.loads(strengths.DELTA_RESULT.read_text(encoding="utf-8"))["rows"]
    gains = [f"{one['gain']:+.1f} ± {one['standard_error']:.1f} at {one['alpha']:.0e}" for one in rows[1:]]
    text = " ".join((readme.ROOT / "docs/training.md").read_text(encoding="utf-8").split())
    listed = f"{', '.join(gains[:-1])} and {gains[-1]}: its default is 1e-3.".replace("e-0", "e-")
    assert f"`delta`, in a run of its own on another CPU, had {listed}" in text
    assert tiny.shipped()["options"]["regularizer"]["delta"]["alpha"]["default"] == pytest.approx(1e-3)
