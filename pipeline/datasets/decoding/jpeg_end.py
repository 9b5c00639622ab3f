"""The end of a JPEG, which a half-written one lacks."""

# Start of the pixels, end of the image (which cannot occur among pixels), padding.
_PIXELS, _END, _FILLER = b"\xff\xda", b"\xff\xd9", b"\xff\xff"


def is_there(jpeg: bytes) -> bool:
    """Return whether a JPEG has an end after its pixels; the end of a preview in its header does not count."""
    place = 2
    while (marker := jpeg[place : place + 2]) != _PIXELS and marker[:1] == b"\xff":
        place += 1 if marker == _FILLER else 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    return jpeg.find(_END, place) >= 0
