"""Progress without a terminal: lines of long work, none of short work."""

import time

import pytest

from pipeline.core import progress


@pytest.mark.parametrize(("interval", "lines"), [(0.01, 4), (60.0, 0)])
def test_long_work_prints_lines_and_short_work_none(monkeypatch, capsys, interval, lines):
    monkeypatch.setattr(progress, "INTERVAL", interval)
    with progress.bar(4, "copies: hashes", "images") as shown:
        for _ in range(4):
            time.sleep(0.015)
            shown.update()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"copies: hashes: {n} of 4 images" for n in range(5 - lines, 5)]
