"""Commands that are printed to be copied: bash reads them as they were meant, and people too."""

import subprocess

import pytest

from pipeline.core import shell


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("folder=/photos", "folder=/photos"),
        ("folder='/my photos'", "\"folder='/my photos'\""),
        ("repeats=[1,2]", "'repeats=[1,2]'"),
        ("folder='/Anna''s $HOME'", None),
        ("folder='/a`b\\c\"d!e'", None),
        ("", "''"),
    ],
)
def test_bash_reads_a_quoted_word_as_it_was(word, quoted):
    text = shell.join(["printf", "%s", word])
    if quoted is not None:
        assert text == f"printf %s {quoted}"
    read = subprocess.run(["bash", "-c", text], capture_output=True, check=True, text=True)
    assert read.stdout == word
