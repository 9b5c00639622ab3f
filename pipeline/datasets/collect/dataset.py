"""The row of a data set, and the pictures of one that is an array."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pipeline.core.choices import Choice
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.download.download import Download
from pipeline.datasets.prepared.manifest import Rejected, Row
from pipeline.datasets.prepared.splits import PerClass

if TYPE_CHECKING:
    import numpy as np

Place = Literal["archive", "folder"]


class Picture(NamedTuple):
    """One image of a set that is an array.

    Attributes:
        path: where its file is written, below the collected images.
        label: its class.
        part: train, val or test; empty where the set has no parts of its own.
        pixels: uint8, (H, W) grey or (H, W, 3) RGB.
    """

    path: str
    label: str
    part: str
    pixels: "np.ndarray[Any, np.dtype[np.uint8]]"


class Counts(NamedTuple):
    """Published totals; 0 where none is."""

    images: int = 0
    train: int = 0
    test: int = 0


class Request(NamedTuple):
    """What is asked for when a set is brought in.

    Attributes:
        name: the set.
        target: the folder to put the images into.
        place: what params.yaml has under the row's `given_by`; None where it names none.
        drawing: how many drawn images of a class, their side and seed, where the set is drawn.
        cache: where downloads are kept; `cache.cache_folder()` where None.
    """

    name: str
    target: Path
    place: str | None = None
    drawing: Mapping[str, int] = {}
    cache: Path | None = None


class Collected(NamedTuple):
    """A set that was brought in: its title, a row an image that is used, and a row a file that is not."""

    title: str
    rows: list[Row]
    rejected: list[Rejected]


def _no_files(_folder: Path) -> Layout:
    return Layout([], [])


@dataclass(frozen=True, kw_only=True)
class DataSet(Choice):
    """One set of images: published, the user's own, or drawn.

    Sizes and checksums are those that are published: by the sets' own pages, torchvision or TensorFlow Datasets.

    Attributes:
        bring: "module:function" from a `Request` to what is `Collected`.
        read: returns the files or pictures of its folder; none where images are drawn.
        classes: how many it has; 0 where only its folder says.
        given_by: the key of params.yaml with the place of the user's own files; None where it reads none.
        home: where it is described; empty where it is not published, as is what follows.
        terms: licence, or what its owners ask for.
        citation: the paper or report to cite.
        counts: published totals of all images, and of the training and test parts as the papers use it.
        official: what its official split is; empty where it has none.
        paper: what the papers did with it.
        downloads: its files; one without an address has to be brought by the user.
        obtaining: how the user comes by files without an address.
        wanted: which members of its archives are unpacked; all where None.
        known_overlap: what it shares with the pre-training data; empty where nothing is known.
        per_class: how many images of each class the papers draw; None where they take all.
        printed: training and test images by class as a paper prints them.
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
        """Whether others have it too."""
        return bool(self.home)

    @property
    def needed_place(self) -> Place | None:
        """The key of params.yaml that the user has to set; None where a program can bring every file."""
        has_to = self.given_by == "folder" or not all(download.urls for download in self.downloads)
        return self.given_by if has_to else None
