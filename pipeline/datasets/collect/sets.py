"""The data sets of the papers: where each is published, on what terms, how it is read and how it is divided.

Sizes and checksums are those that are published: by the sets' own pages, torchvision or TensorFlow Datasets.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.collect import collecting
from pipeline.datasets.collect.collecting import Picture
from pipeline.datasets.collect.folder import Layout, check_location
from pipeline.datasets.collect.sources import arrays, classes, lists, matlab, spiders
from pipeline.datasets.download import archives, fetching
from pipeline.datasets.download.fetching import Download
from pipeline.datasets.manifest import Rejected, Row
from pipeline.datasets.splits import PerClass

# What is published as it is; anything else is an archive.
_PLAIN_FILES = (".txt", ".mat")


class Counts(NamedTuple):
    """Published totals; 0 where none is."""

    images: int = 0
    train: int = 0
    test: int = 0


@dataclass(frozen=True)
class DataSet:
    """One published set.

    Attributes:
        title: its own name.
        home: where it is described.
        terms: licence, or what its owners ask for.
        citation: the paper or report to cite.
        classes: how many it has.
        counts: published totals of all images, and of the training and test parts as the papers use it.
        read: gives the files or pictures of the unpacked folder.
        official: what its official split is; empty where it has none.
        paper: what the papers did with it.
        downloads: its files; one without an address has to be brought by the user.
        obtaining: how the user comes by files without an address.
        wanted: which members of its archives are unpacked; all where None.
        known_overlap: what it shares with the pre-training data; empty where nothing is known.
        per_class: how many images of each class the papers draw; None where they take all.
        printed: training and test images by class as a paper prints them.
        given_by: the key of params.yaml with the place of the user's own files.
    """

    title: str
    home: str
    terms: str
    citation: str
    classes: int
    counts: Counts
    read: Callable[[Path], Layout | list[Picture]]
    paper: str
    official: str = ""
    downloads: tuple[Download, ...] = ()
    obtaining: str = ""
    wanted: Callable[[str], bool] | None = None
    known_overlap: str = ""
    per_class: PerClass | None = None
    printed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    given_by: Literal["archive", "folder"] = "archive"


def _cub_wanted(name: str) -> bool:
    """The photographs and the lists beside them; parts, attributes and sketches of them are not read."""
    inside = name.removeprefix("./").removeprefix("CUB_200_2011/")
    return inside.startswith("images/") or ("/" not in inside and inside.endswith(".txt"))


_CALTECH = DataSet(
    title="Caltech-256",
    home="https://data.caltech.edu/records/nyy15-4j048",
    terms="Creative Commons Attribution 4.0.",
    citation="Griffin, Holub, Perona 2007, Caltech-256 object category dataset, Caltech technical report 7694",
    classes=257,
    counts=Counts(30607, 257 * 30, 257 * 20),
    read=classes.caltech,
    paper="SPA-GCA: 30 training and 20 test images drawn of each class, clutter included",
    downloads=(
        Download(
            "256_ObjectCategories.tar",
            ("https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",),
            md5="67b4f42ca05d46448c6bb8ecd2220f6d",
        ),
    ),
    wanted=classes.caltech_wanted,
    per_class=PerClass(train=30, test=20, val=0),
)
_CIFAR_TERMS = "No licence is stated; its authors ask for the technical report to be cited."
_CIFAR_CITATION = "Krizhevsky 2009, Learning multiple layers of features from tiny images, technical report"
_CIFAR100 = DataSet(
    title="CIFAR-100",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    terms=_CIFAR_TERMS,
    citation=_CIFAR_CITATION,
    classes=100,
    counts=Counts(60000, 50000, 10000),
    read=arrays.cifar100,
    paper="hierarchical: see cifar100_few",
    official="500 training and 100 test images a class",
    downloads=(
        Download(
            "cifar-100-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            size=169001437,
            md5="eb9058c3a382ffc7106e4002c42a8d85",
        ),
    ),
)

SETS: dict[str, DataSet] = {
    "spiders": DataSet(
        title="SPIDER9-IMAGE",
        home="https://doi.org/10.3390/sym15091727",
        terms="Not public: the images are its makers' own.",
        citation="Wang, Chen, Shi 2023, Symmetry 15, 1727, section 2.1",
        classes=len(spiders.PRINTED),
        counts=Counts(2304, 1618, 686),
        read=spiders.read,
        paper="ECSM: divided 7:3, five times anew",
        obtaining="ask its makers at Dali University for it",
        printed=spiders.PRINTED,
        given_by="folder",
    ),
    "cub200": DataSet(
        title="Caltech-UCSD Birds-200-2011",
        home="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        terms="For non-commercial research and education; the images are their photographers'.",
        citation="Wah, Branson, Welinder, Perona, Belongie 2011, Caltech technical report CNS-TR-2011-001",
        classes=200,
        counts=Counts(11788, 5994, 5794),
        read=lists.cub,
        paper="CSCA and SPA-GCA: the official split, labels only",
        official="train_test_split.txt",
        downloads=(
            Download(
                "CUB_200_2011.tgz",
                ("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",),
                size=1150585339,
                md5="97eceeb196236b17998738112f37df78",
            ),
        ),
        wanted=_cub_wanted,
        known_overlap="22 of its test images are in ImageNet.",
    ),
    "dogs": DataSet(
        title="Stanford Dogs",
        home="http://vision.stanford.edu/aditya86/ImageNetDogs/",
        terms="Images of ImageNet, whose terms hold: non-commercial research and education.",
        citation="Khosla, Jayadevaprakash, Yao, Fei-Fei 2011, CVPR workshop on fine-grained visual categorization",
        classes=120,
        counts=Counts(20580, 12000, 8580),
        read=matlab.dogs,
        paper="CSCA and SPA-GCA: the official split, labels only",
        official="train_list.mat with 100 images a class, test_list.mat with the others",
        downloads=(
            Download(
                "stanford_dogs_images.tar",
                ("http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",),
                size=793579520,
                sha256="a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
            ),
            Download(
                "stanford_dogs_lists.tar",
                ("http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar",),
                size=481280,
                sha256="34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
            ),
        ),
        known_overlap="It is a part of ImageNet, labels included: networks pre-trained there know its images.",
    ),
    "cars": DataSet(
        title="Stanford Cars",
        home="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
        terms="For research, as ImageNet's images.",
        citation="Krause, Stark, Deng, Fei-Fei 2013, ICCV workshop on 3D representation and recognition",
        classes=196,
        counts=Counts(16185, 8144, 8041),
        read=matlab.cars,
        paper="CSCA: the official split, labels only; hierarchical: named, without results",
        official="cars_train and cars_test, about one half of each class",
        downloads=(
            Download(
                "cars_train.tgz",
                (),
                size=979269282,
                sha256="512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288",
            ),
            Download(
                "cars_test.tgz",
                (),
                size=977350468,
                sha256="bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243",
            ),
            Download(
                "car_devkit.tgz",
                (),
                size=330960,
                sha256="b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd",
            ),
            Download(
                "cars_test_annos_withlabels.mat",
                (),
                size=185758,
                sha256="790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05",
            ),
        ),
        obtaining="copies are on Kaggle and in research groups",
    ),
    "caltech256_30": _CALTECH,
    "caltech256_60": replace(
        _CALTECH,
        counts=Counts(30607, 257 * 60, 257 * 20),
        paper="SPA-GCA: 60 training and 20 test images drawn of each class, clutter included",
        per_class=PerClass(train=60, test=20, val=0),
    ),
    "mit67": DataSet(
        title="MIT Indoor 67",
        home="https://web.mit.edu/torralba/www/indoor.html",
        terms="For research only.",
        citation="Quattoni, Torralba 2009, Recognizing indoor scenes, CVPR",
        classes=67,
        counts=Counts(6700, 5360, 1340),
        read=lists.mit,
        paper="SPA-GCA: the official lists, with weights of Places365",
        official="TrainImages.txt and TestImages.txt, about 80 and 20 a class; 8,920 further images are in neither",
        downloads=(
            Download("indoorCVPR_09.tar", ("http://groups.csail.mit.edu/vision/LabelMe/NewImages/indoorCVPR_09.tar",)),
            Download("TrainImages.txt", ("https://web.mit.edu/torralba/www/TrainImages.txt",)),
            Download("TestImages.txt", ("https://web.mit.edu/torralba/www/TestImages.txt",)),
        ),
    ),
    "cifar10": DataSet(
        title="CIFAR-10",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        terms=_CIFAR_TERMS,
        citation=_CIFAR_CITATION,
        classes=10,
        counts=Counts(60000, 50000, 10000),
        read=arrays.cifar10,
        paper="hierarchical: named, without results",
        official="5,000 training and 1,000 test images a class",
        downloads=(
            Download(
                "cifar-10-python.tar.gz",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                size=170498071,
                md5="c58f30108f718f92721af3b95e74349a",
            ),
        ),
    ),
    "cifar100": _CIFAR100,
    "cifar100_few": replace(
        _CIFAR100,
        title="CIFAR-100, 10 training images a class",
        counts=Counts(60000, 1000, 10000),
        paper="hierarchical: 10 training and 5 validation images a class; we test on the whole test part",
        per_class=PerClass(train=10, test=0, val=5),
    ),
    "animals10": DataSet(
        title="Animals-10",
        home="https://www.kaggle.com/datasets/alessiocorrado99/animals10",
        terms="GPL 2, as its Kaggle page says.",
        citation="Corrado Alessio, Animals-10, Kaggle",
        classes=10,
        counts=Counts(26179),
        read=classes.animals,
        paper="animals: about 28,000 images; how they were divided is not said",
        downloads=(Download("archive.zip", ()),),
        obtaining="log in at Kaggle and download it there",
    ),
    "digits": DataSet(
        title="scikit-learn's handwritten digits",
        home="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        terms="Creative Commons Attribution 4.0.",
        citation="Alpaydin, Kaynak 1998, Optical recognition of handwritten digits, UCI repository",
        classes=10,
        counts=Counts(1797),
        read=arrays.digits,
        paper="in none: real images without a download",
    ),
}


def known(name: str) -> DataSet:
    """The row of a set.

    Raises:
        InputError: where there is none.
    """
    if name not in SETS:
        raise InputError(f"data: {name!r} is not one of {', '.join(SETS)}")
    return SETS[name]


def check(name: str, *, archive: str | None) -> None:
    """Check, without opening a file, that the place of a set's own files is of use and there if it has to be.

    Args:
        name: the set.
        archive: the place that `given_by` names in params.yaml; None where it names none.

    Raises:
        InputError: saying what to get where, or what is wrong with the place.
    """
    row = known(name)
    if row.given_by == "folder":
        _check_own(row, Path(archive or paths.OWN_FOLDER))
        return
    lost = [download.name for download in row.downloads if not download.urls]
    if lost and archive is None:
        raise InputError(
            f"archive: {row.title} cannot be downloaded by a program; {row.obtaining} ({row.home}), put "
            f"{', '.join(lost)} or what is in them into one folder, and add -S archive=/path/to/that/folder"
        )
    # A sweep over `data` keeps an archive that only some of the sets read.
    if row.downloads and archive is not None:
        _check_given(row, Path(archive))


def bring(
    name: str, *, archive: str | None, target: Path, cache: Path | None = None
) -> tuple[str, list[Row], list[Rejected]]:
    """Fetch a set, unpack it beside the target, read it, and bring its images in; what was unpacked is removed.

    Args:
        name: the set.
        archive: an absolute path in place of downloads: the one file that is published, a folder with the files that
            are, or a folder or one archive with all that they hold; for a set of the user's own, its folder.
        target: the folder to copy or draw the images into.
        cache: where downloads are kept; `fetching.cache_folder()` where None.

    Returns:
        The set's title, a row an image that is used, and a row a file that is not.

    Raises:
        InputError: where a file is missing, is not the one published, or the number of classes is not the row's.
    """
    check(name, archive=archive)
    row = known(name)
    with _unpacked(row, Path(archive) if archive else None, cache, beside=target.parent) as folder:
        try:
            held = row.read(folder)
            _check_classes(row, held)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if not isinstance(held, Layout):
            return row.title, collecting.save(held, target), []
        rows, refused = collecting.bring(held.files, target)
        rejected = sorted(refused + [Rejected(*out) for out in held.left_out])
        collecting.check_classes(held.files, rows, rejected)
        return row.title, rows, rejected


def totals(name: str, rows: Sequence[Row]) -> list[str]:
    """What came of a set beside what is published of it, in lines to show.

    Args:
        name: the set.
        rows: what was accepted.

    Returns:
        A line for all images, and one a class where a paper prints the classes' numbers.
    """
    row, found = known(name), Counter(image.label for image in rows)
    told = f", {row.counts.images:,} published" if row.counts.images else ""
    return [
        f"{row.title}: {len(rows):,} images{told}",
        *(f"{label}: {found[label]} images, {sum(printed)} printed" for label, printed in row.printed.items()),
    ]


def described(name: str) -> dict[str, Any]:
    """What is published of a set, as plain data for the stages that come after and for the report.

    Returns:
        Its `home`, `terms`, `citation`, `official` split, `paper` and `known_overlap` as texts, `counts` by name, and
        `per_class` (None where all images are taken) and `printed` as `splits.PerClass` and `splits.beside` have them.
    """
    row = known(name)
    texts = ("home", "terms", "citation", "official", "paper", "known_overlap")
    return {key: getattr(row, key) for key in texts} | {
        "counts": row.counts._asdict(),
        "per_class": row.per_class and row.per_class._asdict(),
        "printed": {label: list(printed) for label, printed in row.printed.items()},
    }


def _check_own(row: DataSet, own: Path) -> None:
    if own == paths.OWN_FOLDER and not any(place.is_dir() for place in own.glob("*")):
        raise InputError(
            f"folder: {own} is empty, and {row.title} is not public; {row.obtaining}, put its class folders there, "
            "or name the folder that they are in: -S folder=/path/to/it"
        )
    row.read(check_location(str(own)))


def _check_given(row: DataSet, given: Path) -> None:
    if not given.is_absolute():
        raise InputError(f"archive: '{given}' is relative, which queued runs would not find; give an absolute path")
    if not given.exists():
        raise InputError(f"archive: '{given}' does not exist; give the file or folder with {row.title}")
    missing = [download.name for download in row.downloads if not _own_copy(given, download)]
    if given.is_dir() and not _is_unpacked(row, given) and missing:
        raise InputError(f"archive: '{given}' has no {missing[0]}; put all files of {row.title} there")


def _is_unpacked(row: DataSet, folder: Path) -> bool:
    """Whether a folder of the user's holds none of the archives, so that it is to have what is in them."""
    packed = [download for download in row.downloads if not download.name.endswith(_PLAIN_FILES)]
    return not any(_own_copy(folder, download) for download in packed)


def _own_copy(given: Path, download: Download) -> Path | None:
    """The user's copy of a download in his folder, under the name it has there or in the cache."""
    names = [download.name, *(url.rpartition("/")[2] for url in download.urls)]
    return next((given / name for name in names if (given / name).is_file()), None)


@contextmanager
def _unpacked(row: DataSet, given: Path | None, cache: Path | None, *, beside: Path) -> Iterator[Path]:
    """The folder with all that a set's files hold: the user's own, or a temporary one."""
    if given and given.is_dir() and _is_unpacked(row, given):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=beside) as scratch:
        if given and not given.is_dir() and len(row.downloads) > 1:
            archives.unpack(given, Path(scratch) / "all", wanted=row.wanted)
        else:
            # All of them first: what cannot be had is told before anything is unpacked.
            files = [(download.name, _file(download, given, cache)) for download in row.downloads]
            for name, file in files:
                _place(name, file, Path(scratch), row.wanted)
        yield Path(scratch)


def _file(download: Download, given: Path | None, cache: Path | None) -> Path:
    if given is None:
        return fetching.fetch(download, cache=cache)
    return fetching.local(download, (_own_copy(given, download) or given) if given.is_dir() else given)


def _place(name: str, file: Path, scratch: Path, wanted: Callable[[str], bool] | None) -> None:
    if name.endswith(_PLAIN_FILES):
        shutil.copyfile(file, scratch / name)
    else:
        archives.unpack(file, scratch / name, wanted=wanted)


def _check_classes(row: DataSet, held: Layout | list[Picture]) -> None:
    images = held.files if isinstance(held, Layout) else held
    found = len({image.label for image in images})
    if found != row.classes:
        raise InputError(f"{found} classes in place of {row.classes}; take the whole set as it is published")
