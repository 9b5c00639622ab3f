"""README.md and the pages of docs/ as the tests read them: commands as a reader would type them, and tables."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Its blocks are put into a copy of the project first, in which test_extending.py tries its commands.
GUIDE = ROOT / "docs/extending.md"
PAGES = {file: file.read_text(encoding="utf-8") for file in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}
TEXT = "\n".join(text for file, text in PAGES.items() if file != GUIDE)
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
# How the blocks begin that show a file, the project's folders or its stages.
SHOWN = ("    title: ", "    params.yaml ", "    validate -> ")
# Behind `make`: this interpreter has all that `make setup` would install.
INSTALLED = "--old-file .venv/.ready"


def section(title: str) -> str:
    """What stands under a heading of one of the pages, as far as the next heading of any level.

    >>> section("Limits").count("temporal memory")
    1
    """
    assert TEXT.count(f"# {title}\n") == 1, title
    return re.split(r"\n#+ ", TEXT.partition(f"# {title}\n")[2])[0]


def commands(text: str = TEXT) -> list[str]:
    """The commands in indented blocks: those of several lines as one, comments left out."""
    unfenced = FENCED.sub("", text).replace("\\\n", " ")
    blocks = [block for block in BLOCK.findall(unfenced) if not block.startswith(SHOWN)]
    lines = [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]
    return [" ".join(line.split()) for line in lines if line]


def fenced(page: str, language: str) -> list[str]:
    """The blocks of code in a language of one of the pages."""
    return [code for name, code in FENCED.findall(PAGES[ROOT / "docs" / page]) if name == language]


def overrides(command: str) -> list[str]:
    """What a `dvc exp run` puts into params.yaml, as its `-S` are followed by."""
    dvc, exp, run, *rest = shlex.split(command)
    words = rest[1::2]
    assert [dvc, exp, run, *rest[::2]] == ["dvc", "exp", "run", *["-S"] * len(words)], command
    return words


def typed(command: str, put: dict[str, str] | None = None) -> list[str]:
    """What a `dvc exp run` of the pages puts into params.yaml.

    Args:
        command: as a page has it.
        put: what takes the place of words that stand for the reader's own.
    """
    assert command in commands()
    for word, own in (put or {}).items():
        command = command.replace(word, own)
    return overrides(command)


def table(title: str, text: str = TEXT) -> dict[str, dict[str, str]]:
    """Return the first table whose first column has this title: the other cells by their headings, by each name."""
    (headings, body) = re.findall(rf"^\| `{title}` \|(.*)\n\|[-:| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)[0]
    rows = [cells(line) for line in body.splitlines()]
    return {
        name: dict(zip(cells(headings), rest, strict=True))
        for first, *rest in rows
        for name in re.findall(r"`(\w+)`", first)
    }


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
