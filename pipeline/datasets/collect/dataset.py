"""The row of a data set, and the types that its reader and its collection use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pipeline.core.choices import Choice
from pipeline.core.types import PerClass
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.download.download import Download
from pipeline.datasets.prepared.manifest import Rejected, Row

if TYPE_CHECKING:
    import numpy as np

Place = Literal["archive", "folder"]


class Picture(NamedTuple):
    """One image of a set that is published as an array.

    Attributes:
        path: of its file, below the collected images.
        label: class name.
        part: train, val or test; empty if the set has no parts of its own.
        pixels: uint8, (H, W) gray or (H, W, 3) RGB.
    """

    path: str
    label: str
    part: str
    pixels: "np.ndarray[Any, np.dtype[np.uint8]]"


class Counts(NamedTuple):
    """Published numbers of images; 0 if not published."""

    images: int = 0
    train: int = 0
    test: int = 0


class Request(NamedTuple):
    """The arguments of a row's `bring` function.

    Attributes:
        name: the set.
        target: folder to put the images into.
        place: value of params.yaml under the row's `given_by`; None if it has none.
        drawing: options of a synthetic set: images_per_class, size, seed.
        cache: folder of downloads; `cache.cache_folder()` if None.
    """

    name: str
    target: Path
    place: str | None = None
    drawing: Mapping[str, int] = {}
    cache: Path | None = None


class Collected(NamedTuple):
    """A collected set.

    Attributes:
        title: the set's name.
        rows: one per accepted image.
        rejected: one per file that cannot be used.
        tested: as `Layout` has it.
    """

    title: str
    rows: list[Row]
    rejected: list[Rejected]
    tested: str = ""


def _no_files(_folder: Path) -> Layout:
    return Layout([], [])


@dataclass(frozen=True, kw_only=True)
class DataSet(Choice):
    """One set of images: published, the user's own, or synthetic.

    Sizes and checksums are published ones: from the sets' own pages, torchvision or TensorFlow Datasets.

    Attributes:
        bring: "module:function", which takes a `Request` and returns `Collected`.
        read: takes a folder and returns its files or pictures; none for a synthetic set.
        classes: number of classes; 0 if only the user's folder determines it.
        given_by: key of params.yaml for the path to the user's files; None if there is none.
        home: web page of the set; empty if it is not published, as is all that follows.
        terms: license, or conditions of its owners.
        citation: paper or report to cite.
        counts: published numbers of all images, and of training and test images as the papers use the set.
        official: source of its official split; empty if it has none.
        paper: use in the papers.
        downloads: its files; one without an address comes from the user.
        obtaining: instructions to get files without an address.
        wanted: takes a path in an archive and returns whether to unpack it; None for all.
        known_overlap: images shared with the pre-training data; empty if none are known.
        per_class: number of images that the papers draw of each class; None if they take all.
        printed: training and test images by class, as a paper prints them.
    """

    bring: str = "pipeline.datasets.collect.published:bring"
    read: Callable[[Path], Layout | list[Picture]] = _no_files
    classes: int = 0
    given_by: Place | None = "archive"
    home: str = ""
    terms: str = ""
    citation: str = ""
    counts: Counts = field(default_factory=Counts)
    official: str = ""
    paper: str = ""
    downloads: tuple[Download, ...] = ()
    obtaining: str = ""
    wanted: Callable[[str], bool] | None = None
    known_overlap: str = ""
    per_class: PerClass | None = None
    printed: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_published(self) -> bool:
        """True for a published set."""
        return bool(self.home)

    @property
    def needed_place(self) -> Place | None:
        """Key of params.yaml that the user has to set; None if every file can be downloaded."""
        required = self.given_by == "folder" or not all(download.urls for download in self.downloads)
        return self.given_by if required else None
