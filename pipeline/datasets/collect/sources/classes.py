"""Sets of class folders without parts: Caltech-256 and Animals-10."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sources.places import WHOLE, Named, folder_named, layout, shortened

ITALIAN = {
    "cane": "dog",
    "cavallo": "horse",
    "elefante": "elephant",
    "farfalla": "butterfly",
    "gallina": "chicken",
    "gatto": "cat",
    "mucca": "cow",
    "pecora": "sheep",
    "ragno": "spider",
    "scoiattolo": "squirrel",
}


def caltech_wanted(name: str) -> bool:
    """Whether a file of Caltech-256's archive is one of its photographs: a JPEG directly in a class's folder.

    The archive also holds a leftover in 198.spider and a folder of copies in 056.dog.
    """
    parts = name.removeprefix("./").split("/")
    return len(parts) == 3 and name.endswith(".jpg") and not parts[-1].startswith(".")


def caltech(folder: Path) -> Layout:
    """Caltech-256: `256_ObjectCategories/` with a folder a class, clutter included; labels without numbers.

    Raises:
        InputError: where that folder is missing.
    """
    top = folder_named(folder, "256_ObjectCategories")
    images = [path.relative_to(top).as_posix() for path in top.glob("*/*.jpg") if not path.name.startswith(".")]
    labels = shortened(sorted({image.split("/")[0] for image in images}), r"[0-9]+[.]")
    return layout(top, [Named(image, labels[image.split("/")[0]], "") for image in images])


def animals(folder: Path) -> Layout:
    """Animals-10: a folder a class, in `raw-img/` or directly; Italian names become English, English ones stay.

    Raises:
        InputError: for a folder of another name, or two of the same animal.
    """
    top = next((path for path in sorted(folder.rglob("raw-img")) if path.is_dir()), folder)
    english = {path: ITALIAN.get(path.name, path.name) for path in sorted(top.iterdir()) if path.is_dir()}
    kept = {path: label for path, label in english.items() if not path.name.startswith((".", "__"))}
    unknown = [path.name for path, label in kept.items() if label not in ITALIAN.values()]
    if unknown:
        raise InputError(f"the folder {unknown[0]!r} is none of {', '.join(ITALIAN)}; {WHOLE}")
    if len(set(kept.values())) < len(kept):
        raise InputError(f"Italian and English folders of one animal among {', '.join(p.name for p in kept)}; keep one")
    files = [
        Named(file.relative_to(top).as_posix(), label, "")
        for path, label in kept.items()
        for file in path.iterdir()
        if file.is_file() and not file.name.startswith(".")
    ]
    return layout(top, files)
