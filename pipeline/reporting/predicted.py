"""A page of predicted images by class, strange ones first, then the least sure, for a person to look through."""

import heapq
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.bundles import held_out, identity
from pipeline.bundles.description import Description
from pipeline.bundles.predictions import Prediction
from pipeline.core.counting import counted
from pipeline.datasets.collect.listing import escaped
from pipeline.reporting import markup

# Pictures on a page at most: a browser opens that many at once, and the page stays small enough to be sent.
PICTURES = 2000
ERRORS_SHOWN = 100
# Links to classes that are seen without unfolding them, and classes without images that are named.
UNFOLDED = 30
NAMED = 20


class Picture(NamedTuple):
    """An image on the page: a JPEG with what is said of it."""

    prediction: Prediction
    thumbnail: bytes


class ClassPictures(NamedTuple):
    """A class that images were assigned to: how many, how many of them are strange, and those shown."""

    label: str
    images: int
    strange: int
    pictures: list[Picture]


class Page:
    """A page to which predictions are added; it holds a bounded number of pictures: strange ones, then the least sure.

    Args:
        said: what the bundle says of itself.
        pictures: how many are shown at most.
    """

    def __init__(self, said: Description, pictures: int = PICTURES) -> None:
        self._said = said
        self._most = pictures
        # A heap: ordinary ones before strange ones, of these the surest first, of equal ones the latest.
        self._shown: list[tuple[bool, float, int, Picture]] = []
        self._counts = Counter[str]()
        self._strange = Counter[str]()
        self._errors: list[Prediction] = []
        self._unusable = self._asked = 0

    def add(self, one: Prediction, thumbnail: bytes) -> None:
        """Add a file with a small picture of it, a JPEG; empty for one that cannot be used."""
        if one.error:
            self._unusable += 1
            self._errors += [one] if len(self._errors) < ERRORS_SHOWN else []
            return
        self._asked += one.doubt is not None and one.doubt.ask
        strange = one.doubt is not None and one.doubt.strange
        self._strange[one.label] += strange
        entry = (strange, -one.probability, -self._counts.total(), Picture(one, thumbnail))
        self._counts[one.label] += 1
        if len(self._shown) < self._most:
            heapq.heappush(self._shown, entry)
        else:
            heapq.heappushpop(self._shown, entry)

    def write(self, target: Path) -> None:
        """Write the page, no script and nothing loaded from elsewhere, every picture inside."""
        template = markup.environment(markup.TEMPLATES).get_template("predicted.html")
        target.write_text(template.render(self._content()), encoding="utf-8", errors="backslashreplace")

    def _content(self) -> dict[str, Any]:
        by_class: dict[str, list[Picture]] = {label: [] for label in self._said.classes}
        for *_, picture in sorted(self._shown, reverse=True):
            by_class[picture.prediction.label].append(picture)
        images = self._counts.total()
        return {
            "title": f"{counted(images, 'image')} by predicted class",
            "facts": list(_facts(self._said)),
            "calibrated": self._said.calibration is not None,
            "images": images,
            "shown": len(self._shown),
            "classes": [
                ClassPictures(label, count, self._strange[label], by_class[label])
                for label in by_class
                if (count := self._counts[label])
            ],
            "unassigned": [escaped(label) for label in by_class if not self._counts[label]],
            "unfolded": UNFOLDED,
            "named": NAMED,
            "judged": self._said.outliers is not None,
            "too_few": held_out.too_few(self._said),
            "asked": self._asked,
            "strange": self._strange.total(),
            "errors": self._errors,
            "unusable": self._unusable,
            "name": escaped,
        }


def _facts(said: Description) -> Iterator[tuple[str, str]]:
    """Yield which network predicted, and when."""
    origin = said.origin
    yield "network", f"{identity.network(said)}. {identity.kind(said)}"
    yield "experiment", f"{origin.experiment[: identity.SHOWN]}, recipe {origin.recipe}"
    labeled, classes = counted(origin.images, "image"), counted(len(said.classes), "class", "classes")
    yield "data set", f"{escaped(origin.data_set)}: {labeled}, {classes}"
    yield "test accuracy", identity.accuracy(said)
    yield "predicted", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
