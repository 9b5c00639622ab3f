"""The color profile of an image: what is said of one that is ignored."""

import io

from PIL import Image, ImageCms

# Of a profile's name, in letters.
LONGEST_NAME = 40


def note(image: Image.Image) -> str:
    """Return a note on a color profile other than sRGB, as colors are taken without it."""
    if not (profile := image.info.get("icc_profile")):
        return ""
    try:
        described = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return ""
    name = "".join(letter for letter in " ".join(described.split()) if letter.isprintable())[:LONGEST_NAME]
    return "" if "srgb" in name.casefold() else f"color profile {name or 'without a name'} ignored"
