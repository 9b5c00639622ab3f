"""The kinds of copies that were looked for, in words: silence must not read as clean."""

from typing import NamedTuple


class Search(NamedTuple):
    """Numbers of images that were compared.

    Attributes:
        images: number of images.
        hashed: how many were compared by hashes.
        aligned: how many were compared by features and alignment.
    """

    images: int
    hashed: int
    aligned: int


# Side in pixels below which images of one kind have too little detail to differ.
SMALLEST = 32
# Numbers of different images. Every two hashes are compared: the time grows with the square, to hours for much larger
# sets. Aligning needs some 90 KB an image.
MOST_HASHED = 100_000
MOST_ALIGNED = 20_000

_EQUAL = "byte-equal copies"
_HASHES = f"{_EQUAL}, and those that are encoded anew, resized, brightened or cropped by some 5 %"
_ALL = (
    f"{_EQUAL}, and those that are encoded anew, resized, brightened, cropped by up to 40 %, mirrored, stretched, "
    "letterboxed, turned by some 5 degrees or with another footer"
)


def words(search: Search) -> str:
    """Return what was looked for, and where less was.

    >>> words(Search(10, 0, 0))
    'looked for byte-equal copies alone: no two images have sides of 32 pixels or more'
    """
    if not search.hashed:
        large = search.images > MOST_HASHED
        why = f"more than {MOST_HASHED:,} images" if large else f"no two images have sides of {SMALLEST} pixels or more"
        return f"looked for {_EQUAL} alone: {why}"
    if not search.aligned:
        return f"looked for {_HASHES}; not for mirrored or strongly changed ones: more than {MOST_ALIGNED:,} images"
    return f"looked for {_ALL}"
