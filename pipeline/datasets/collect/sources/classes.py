"""Sets of class folders without parts: Caltech-256 and Animals-10."""

from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.collect.dataset import Counts, DataSet
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sources.places import WHOLE, Named, folder_named, layout, without_prefix
from pipeline.datasets.download.download import Download

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
    """Return whether a file of Caltech-256's archive is a photograph: a JPEG directly in a class folder.

    The archive also holds a leftover in 198.spider and a folder of copies in 056.dog.
    """
    parts = name.removeprefix("./").split("/")
    return len(parts) == 3 and name.endswith(".jpg") and not parts[-1].startswith(".")


def caltech(folder: Path) -> Layout:
    """Read Caltech-256: `256_ObjectCategories/` with one folder per class, clutter included; labels without numbers.

    Raises:
        InputError: if that folder is missing.
    """
    top = folder_named(folder, "256_ObjectCategories")
    images = [path.relative_to(top).as_posix() for path in top.glob("*/*.jpg") if not path.name.startswith(".")]
    labels = without_prefix(sorted({image.split("/")[0] for image in images}), r"[0-9]+[.]")
    return layout(top, [Named(image, labels[image.split("/")[0]], "") for image in images])


CALTECH_30 = DataSet(
    title="Caltech-256, 30 training images a class",
    description="256 kinds of objects and clutter, with 30 training and 20 test images drawn from each class",
    home="https://data.caltech.edu/records/nyy15-4j048",
    terms="Creative Commons Attribution 4.0.",
    citation="Griffin, Holub, Perona 2007, Caltech-256 object category dataset, Caltech technical report 7694",
    classes=257,
    counts=Counts(30607, 257 * 30, 257 * 20),
    read=caltech,
    paper="SPA-GCA: with 30 training and 20 test images drawn from each class, clutter included",
    downloads=(
        Download(
            "256_ObjectCategories.tar",
            ("https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",),
            md5="67b4f42ca05d46448c6bb8ecd2220f6d",
        ),
    ),
    wanted=caltech_wanted,
    per_class=PerClass(train=30, test=20, val=0),
)
CALTECH_60 = replace(
    CALTECH_30,
    title="Caltech-256, 60 training images a class",
    description="256 kinds of objects and clutter, with 60 training and 20 test images drawn from each class",
    counts=Counts(30607, 257 * 60, 257 * 20),
    paper="SPA-GCA: with 60 training and 20 test images drawn from each class, clutter included",
    per_class=PerClass(train=60, test=20, val=0),
)


def animals(folder: Path) -> Layout:
    """Read Animals-10: one folder per class, in `raw-img/` or directly, with Italian or English names.

    Labels are the English names.

    Raises:
        InputError: if a folder has another name, or two are of the same animal.
    """
    top = next((path for path in sorted(folder.rglob("raw-img")) if path.is_dir()), folder)
    # Other names pass unchanged, to be refused below.
    english = {path: ITALIAN.get(path.name, path.name) for path in sorted(top.iterdir()) if path.is_dir()}
    labels = {path: label for path, label in english.items() if not path.name.startswith((".", "__"))}
    unknown = [path.name for path, label in labels.items() if label not in ITALIAN.values()]
    if unknown:
        raise InputError(f"the folder {unknown[0]!r} is none of {', '.join(ITALIAN)}; {WHOLE}")
    if len(set(labels.values())) < len(labels):
        names = ", ".join(path.name for path in labels)
        raise InputError(f"Italian and English folders of one animal among {names}; keep one")
    files = [
        Named(file.relative_to(top).as_posix(), label, "")
        for path, label in labels.items()
        for file in path.iterdir()
        if file.is_file() and not file.name.startswith(".")
    ]
    return layout(top, files)


ANIMALS = DataSet(
    title="Animals-10",
    description="ten kinds of animals; needs your own copy",
    home="https://www.kaggle.com/datasets/alessiocorrado99/animals10",
    terms="GPL 2, as its Kaggle page says.",
    citation="Corrado Alessio, Animals-10, Kaggle",
    classes=10,
    counts=Counts(26179),
    read=animals,
    paper="animals: about 28,000 images; how they were divided is not said",
    downloads=(Download("archive.zip", ()),),
    obtaining="log in at Kaggle and download it there",
)
