"""A hash over the groups and parts of images that the user named: neither the settings nor the labels hold them."""

from pipeline.core import paths, seeding
from pipeline.datasets.prepared import groups


def digest() -> str:
    """Return a hash over the groups and parts of the collected images; "" where none is named.

    With named groups it is over copies too, which join them. Where nothing is collected, as in measurements that bring
    their images along, none is named either.

    Raises:
        InputError: where a file is missing, or is not what its stage wrote.
    """
    if not paths.MANIFEST.exists():
        return ""
    rows = groups.collected()
    if not any(row.group or row.part for row in rows):
        return ""
    alike = [[one.path, one.group] for one in groups.read()]
    return seeding.digest({"groups": alike, "parts": [[row.path, row.part] for row in rows]})
