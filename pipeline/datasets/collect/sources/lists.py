"""Sets whose classes and parts are in text files: CUB-200-2011 and MIT Indoor 67."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.datasets.collect.dataset import Counts, DataSet
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sources.places import (
    WHOLE,
    Named,
    file_named,
    folder_named,
    layout,
    lines,
    without_prefix,
)
from pipeline.datasets.download.download import Download


def cub(folder: Path) -> Layout:
    """Read CUB-200-2011: `images.txt` and the lists next to it, images in `images/`.

    Raises:
        InputError: if a list or an image is missing, or the lists contradict each other.
    """
    root = file_named(folder, "images.txt").parent
    return layout(root / "images", cub_names(root))


def cub_names(root: Path) -> list[Named]:
    """Return every image of CUB-200-2011's lists; labels without the numbers of the classes.

    Raises:
        InputError: if a list is missing or contradicts the others.
    """
    names, numbers, trains, classes = (
        _numbered(root, name)
        for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")
    )
    labels = without_prefix(classes.values(), r"[0-9]+[.]")
    parts = {"1": "train", "0": "test"}
    try:
        return [Named(name, labels[classes[numbers[key]]], parts[trains[key]]) for key, name in names.items()]
    except KeyError as error:
        raise InputError(f"the .txt lists of CUB contradict each other: one of them lacks {error}; {WHOLE}") from None


def cub_wanted(name: str) -> bool:
    """Return whether a file of the archive is a photograph or a list; bird parts, attributes and sketches are not."""
    inside = name.removeprefix("./").removeprefix("CUB_200_2011/")
    return inside.startswith("images/") or ("/" not in inside and inside.endswith(".txt"))


CUB = DataSet(
    title="Caltech-UCSD Birds-200-2011",
    description="200 kinds of birds",
    home="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    terms="For non-commercial research and education; the images are their photographers'.",
    citation="Wah, Branson, Welinder, Perona, Belongie 2011, Caltech technical report CNS-TR-2011-001",
    classes=200,
    counts=Counts(11788, 5994, 5794),
    read=cub,
    paper="CSCA: split not given; SPA-GCA: the official split; labels only",
    official="train_test_split.txt",
    downloads=(
        Download(
            "CUB_200_2011.tgz",
            ("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",),
            size=1150585339,
            md5="97eceeb196236b17998738112f37df78",
        ),
    ),
    wanted=cub_wanted,
    known_overlap="22 of its test images are in ImageNet.",
)


def mit(folder: Path) -> Layout:
    """Read MIT Indoor 67: `TrainImages.txt`, `TestImages.txt`, and `Images/` with one folder per class.

    Raises:
        InputError: if a list or an image is missing.
    """
    return layout(folder_named(folder, "Images"), mit_names(folder))


def mit_names(folder: Path) -> list[Named]:
    """Return every image of the two lists; its class is its folder.

    Raises:
        InputError: if a list is missing or names an image without a class.
    """
    images: list[Named] = []
    for name, part in (("TrainImages.txt", "train"), ("TestImages.txt", "test")):
        for line in lines(folder, name):
            label, slash, _ = line.partition("/")
            if not slash:
                raise InputError(f"{name}: {line!r} is not CLASS/FILE; {WHOLE}")
            images.append(Named(line, label, part))
    return images


MIT = DataSet(
    title="MIT Indoor 67",
    description="67 kinds of indoor scenes",
    home="https://web.mit.edu/torralba/www/indoor.html",
    terms="For research only.",
    citation="Quattoni, Torralba 2009, Recognizing indoor scenes, CVPR",
    classes=67,
    counts=Counts(6700, 5360, 1340),
    read=mit,
    paper="SPA-GCA: the official lists, with weights of Places365",
    official="TrainImages.txt and TestImages.txt, about 80 and 20 a class; 8,920 further images are in neither",
    downloads=(
        Download("indoorCVPR_09.tar", ("http://groups.csail.mit.edu/vision/LabelMe/NewImages/indoorCVPR_09.tar",)),
        Download("TrainImages.txt", ("https://web.mit.edu/torralba/www/TrainImages.txt",)),
        Download("TestImages.txt", ("https://web.mit.edu/torralba/www/TestImages.txt",)),
    ),
)


def _numbered(root: Path, name: str) -> dict[str, str]:
    """Return a list whose lines are a number, a space and a value."""
    pairs = [line.partition(" ") for line in lines(root, name)]
    wrong = [number for number, (_, space, _) in enumerate(pairs, 1) if not space]
    if wrong:
        raise InputError(f"{name}: line {wrong[0]} is not a number and a value; {WHOLE}")
    return {number: value.strip() for number, _, value in pairs}
