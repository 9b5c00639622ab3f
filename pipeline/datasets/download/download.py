"""One published file: its addresses, size and checksum, and the comparison of a local file with them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

_READ_BYTES = 2**18
# Strongest first: `Download.checksum` takes the first that is published.
_HEX_DIGITS = {"sha256": "64", "sha256_begins": "8,64", "md5": "32"}


@dataclass(frozen=True)
class Download:
    """One published file.

    Attributes:
        name: file name in the cache, unique among all downloads.
        urls: http or https addresses, the preferred one first; empty if no server has the file.
        size: bytes; 0 if not published.
        sha256: lower-case hexadecimal digits; empty if not published.
        md5: lower-case hexadecimal digits; empty if not published; ignored if there is a SHA-256.
        sha256_begins: the first digits of a SHA-256, where only these are published, as torchvision does; else empty.
    """

    name: str
    urls: tuple[str, ...]
    size: int = 0
    sha256: str = ""
    md5: str = ""
    sha256_begins: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name == ".." or Path(self.name).name != self.name:
            raise ValueError(f"{self.name!r} is not a file name")
        for url in self.urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{self.name}: {url!r} is neither http nor https")
        for algorithm, digits in _HEX_DIGITS.items():
            value = getattr(self, algorithm)
            if value and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                raise ValueError(f"{self.name}: {value!r} is no {algorithm} in {digits} small hexadecimal digits")

    @property
    def checksum(self) -> tuple[str, str]:
        """Algorithm and value of the strongest published checksum; two empty strings if there is none."""
        published = ((name.partition("_")[0], getattr(self, name)) for name in _HEX_DIGITS)
        return next((pair for pair in published if pair[1]), ("", ""))


def mismatch(file: Path, download: Download) -> str:
    """Describe how a file differs from the published size or checksum; return an empty string if it does not."""
    size = file.stat().st_size
    if download.size and size != download.size:
        return f"{size:,} bytes in place of {download.size:,}"
    algorithm, expected = download.checksum
    actual = _digest(file, algorithm) if expected else ""
    return f"its {algorithm} is {actual} in place of {expected}" if not actual.startswith(expected) else ""


def _digest(file: Path, algorithm: str) -> str:
    # MD5 guards against damage here, not against an attacker: FIPS builds of OpenSSL ask for that statement.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    bar = tqdm(total=file.stat().st_size, desc=f"check {file.name}", unit="B", unit_scale=True, disable=None)
    with file.open("rb") as stream, bar:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
