"""Counts with their noun, in the singular where there is one."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return how many there are of what a noun names.

    Args:
        count: how many.
        noun: in the singular.
        plural: where it is not the noun and an s.

    >>> counted(1, "image"), counted(1618, "image"), counted(2, "copy", "copies")
    ('1 image', '1,618 images', '2 copies')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
