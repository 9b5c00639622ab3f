"""Sets whose classes and parts are in text files: CUB-200-2011 and MIT Indoor 67."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sources.places import WHOLE, Named, file_named, folder_named, layout, lines, shortened


def cub(folder: Path) -> Layout:
    """CUB-200-2011: `images.txt` and the lists beside it, images in `images/`.

    Raises:
        InputError: where a list or an image is missing or the lists do not go together.
    """
    root = file_named(folder, "images.txt").parent
    return layout(root / "images", cub_names(root))


def cub_names(root: Path) -> list[Named]:
    """Every image of CUB-200-2011's lists, which give it a number; labels without the classes' own numbers.

    Raises:
        InputError: where a list is missing or does not fit the others.
    """
    names, numbers, trains, classes = (
        _numbered(root, name)
        for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")
    )
    labels = shortened(classes.values(), r"[0-9]+[.]")
    parts = {"1": "train", "0": "test"}
    try:
        return [Named(name, labels[classes[numbers[key]]], parts[trains[key]]) for key, name in names.items()]
    except KeyError as error:
        raise InputError(f"CUB's lists do not go together: no {error} in one of them; {WHOLE}") from None


def mit(folder: Path) -> Layout:
    """MIT Indoor 67: `TrainImages.txt`, `TestImages.txt`, and `Images/` with a folder a class.

    Raises:
        InputError: where a list or an image is missing.
    """
    return layout(folder_named(folder, "Images"), mit_names(folder))


def mit_names(folder: Path) -> list[Named]:
    """Every image of the two lists; the class is its folder.

    Raises:
        InputError: where a list is missing or names an image without a class.
    """
    images: list[Named] = []
    for name, part in (("TrainImages.txt", "train"), ("TestImages.txt", "test")):
        for line in lines(folder, name):
            label, slash, _ = line.partition("/")
            if not slash:
                raise InputError(f"{name}: {line!r} names no class before a slash; {WHOLE}")
            images.append(Named(line, label, part))
    return images


def _numbered(root: Path, name: str) -> dict[str, str]:
    """A list whose lines are a number, a space and a value."""
    pairs = [line.partition(" ") for line in lines(root, name)]
    wrong = [number for number, (_, space, _) in enumerate(pairs, 1) if not space]
    if wrong:
        raise InputError(f"{name}: line {wrong[0]} is not a number and a value; {WHOLE}")
    return {number: value.strip() for number, _, value in pairs}
