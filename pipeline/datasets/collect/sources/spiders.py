"""SPIDER9-IMAGE, which is not public: the user's folder, its nine classes, and the paper's numbers of images."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.datasets.collect import folder as own
from pipeline.datasets.collect.dataset import Counts, DataSet
from pipeline.datasets.collect.folder import Layout

# Training and test images as ECSM Table 1 prints them. The text above it names Araneidae twice, hence ten.
PRINTED = {
    "Thomisidae": (176, 74),
    "Theraphosidae": (174, 74),
    "Lycosa": (170, 74),
    "Missulena": (176, 74),
    "Araneidae": (176, 74),
    "Trichonephila clavata": (176, 74),
    "Philodromidae": (180, 76),
    "Plator": (226, 96),
    "Cyrtophora": (164, 70),
}

# As Table 8 prints them.
_MISPRINTS = {"hominidae": "Thomisidae", "miussulena": "Missulena"}


def read(folder: Path) -> Layout:
    """Read the user's class folders, with the paper's class names as labels; a misprint of Table 8 is noted.

    Raises:
        InputError: if the folder cannot be used, or its classes are not the nine.
    """
    layout = own.layout(folder)
    names = {label: _printed_name(label) for label in sorted({file.label for file in layout.files})}
    _check(folder, names)
    notes = tuple(
        f"the folder {label!r} is read as {name}, which ECSM's Table 8 misprints so"
        for label, name in names.items()
        if _plain(label) in _MISPRINTS
    )
    files = [file._replace(label=names[file.label]) for file in layout.files]
    return layout._replace(files=files, notes=(*layout.notes, *notes))


SPIDERS = DataSet(
    title="SPIDER9-IMAGE",
    description="spiders of nine families and genera; not public: needs your own copy, whose class names are checked",
    home="https://doi.org/10.3390/sym15091727",
    terms="Not public: the images are its makers' own.",
    citation="Wang, Chen, Shi 2023, Symmetry 15, 1727, section 2.1",
    classes=len(PRINTED),
    counts=Counts(2304, 1618, 686),
    bring="pipeline.datasets.collect.bringing:bring_own",
    read=read,
    paper="ECSM: divided 7:3, five times anew",
    obtaining="ask its makers at Dali University for it",
    printed=PRINTED,
    given_by="folder",
)


def _printed_name(label: str) -> str:
    """Return the printed name of a class, whatever its case, spaces, underscores and hyphens; empty if unknown."""
    names = {_plain(name): name for name in PRINTED} | _MISPRINTS
    return names.get(_plain(label), "")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " _-")


def _check(folder: Path, names: dict[str, str]) -> None:
    unknown = [repr(label) for label, name in names.items() if not name]
    missing = [name for name in PRINTED if name not in names.values()]
    if unknown or missing:
        faults = [f"{', '.join(unknown)} unknown"] * bool(unknown) + [f"no {', '.join(missing)}"] * bool(missing)
        raise InputError(
            f"{folder}: not the nine classes of SPIDER9-IMAGE: {'; '.join(faults)}; "
            "name the class folders so, or bring them as a set of your own: -S data=folder"
        )
    if len(names) > len(PRINTED):
        twice = sorted(label for label, name in names.items() if list(names.values()).count(name) > 1)
        raise InputError(f"{folder}: {', '.join(map(repr, twice))} are one class; put their images together")
