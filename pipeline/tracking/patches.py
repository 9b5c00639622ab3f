"""Patches: whether uncommitted changes contain a place, an address, a secret or the name of an image.

A line of code that only looks like one hides its changes too; they stay in metrics/runtime.
"""

import re

from pipeline.core import paths
from pipeline.datasets.collect import left_out

OWN_PLACES = frozenset(path.as_posix() for path in (paths.OWN_FOLDER, paths.NO_ARCHIVE, paths.NO_WEIGHTS_FILE))
# Of those that a set may have, and of scanners in clinics.
_IMAGES = "|".join(sorted({ending.removeprefix(".") for ending in left_out.PICTURES - {""}} | {"dcm", "svs", "ndpi"}))
# Files of which any line may be a place, a secret or an image's name.
_FILES = re.compile(
    r"(?:^|/)(?:\.dvc/config(?:\.local)?|where\.yaml|[^/]*\.(?:env|pem|key|csv|tsv|jsonl|xlsx?))$", re.IGNORECASE
)
_HEADER = re.compile(r"(?:diff --git|---|\+\+\+|(?:rename|copy) (?:from|to)) (?P<names>.*)")
_NO_FILE = ("--- /dev/null", "+++ /dev/null")
# Keys of params.yaml and of studies whose value is a place; in code and in the docs, `folder: Path` is something else.
_PLACE = re.compile(r"""(?:^|[\s{,."'])(?:folder|archive|weights_file)["']?\s*[:=](?=(?P<value>.*))""")
_OWN = re.compile(rf"""\s*(["']?)(?:{"|".join(map(re.escape, sorted(OWN_PLACES)))})\1\s*(?:[,}}].*|\s#.*)?$""")
_NOT_SETTINGS = (".py", ".md")
_TELLING = re.compile(
    "|".join(
        (
            "^GIT binary patch$",
            # The name of an image, not an ending alone.
            rf"[^\s\"'`*{{}}/\\.]\.(?:{_IMAGES})(?![\w-])",
            # A URL, and an address such as me@host:place.
            r"\b[a-z][a-z0-9+.-]*://",
            r"[\w.-]+@[\w-]+[.:][\w~/]",
            # A path that is absolute, from home, from above the clone, or of Windows.
            r"(?:^|[\s\"'`=:,;(\[{|])(?:~\w*)?/\w",
            r"\.\.[/\\]",
            r"(?<!\w)[a-z]:[/\\]\w|(?:^|[\s\"'=:])\\\\[\w.-]+\\\w",
            r"(?:passw(?:or)?d|passphrase|secret|api_?key|access_?key|private_?key|credential)\w*[\"']?\s*[:=]\s*\S",
            # In code, tokens are more often those of a transformer.
            r"(?:^\s*|[\w\"'-][_-]|[\"'{])token[\"']?\s*[:=]\s*\S",
        )
    ),
    re.IGNORECASE,
)


def is_telling(patch: str) -> bool:
    """Return whether a patch, as `git diff` writes it, has a place, an address, a secret or the name of an image.

    Unchanged lines around a change count, as they are in it; so does a line of code that only looks like one of these.
    """
    settings = True
    for line in patch.splitlines():
        if line in _NO_FILE:
            continue
        if header := _HEADER.match(line):
            name = header["names"].rstrip().rstrip('"')
            settings = not name.endswith(_NOT_SETTINGS)
            if _FILES.search(name):
                return True
        content = line[1:] if line[:1] in ("+", "-", " ") else line
        if _TELLING.search(content) or (settings and _names_a_place(content)):
            return True
    return False


def _names_a_place(line: str) -> bool:
    return any(not _OWN.match(one["value"]) for one in _PLACE.finditer(line))
