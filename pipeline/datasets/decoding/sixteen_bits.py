"""Color images with 16 bits a channel, which Pillow reduces to 8 by leaving the lower ones out."""

from PIL import Image, ImageStat

# Programs of microscopes fill the lower 12 of 16 bits: nothing in such an image is as bright as this, of 255.
DARK = 32


def note(image: Image.Image) -> str:
    """Return a note if Pillow silently reduces the 16 bits of a color image to 8."""
    tiles = getattr(image, "tile", ())
    return "16 bits a channel to 8" if any(";16" in str(tile[-1]) for tile in tiles) else ""


def are_lower_ones(reduced: Image.Image) -> bool:
    """Return whether an image of which 8 bits are left has hardly anything in them."""
    return max(high for _, high in ImageStat.Stat(reduced).extrema) < DARK
