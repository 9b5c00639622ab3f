"""The head of an HTTP response: its status, size and version, and whether it continues the bytes already received."""

import re
from typing import TYPE_CHECKING

from pipeline.datasets.download.download import Download
from pipeline.datasets.download.partial_file import PartialFile, ServerFile

if TYPE_CHECKING:
    from requests import Response

_OK, _PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _SERVER_ERRORS = 408, 429, 500


class RefusedError(Exception):
    """An address that lacks the file or has another one; a retry would not help."""


class RetryableError(Exception):
    """A failed attempt that may succeed later.

    Attributes:
        pause: seconds to wait, if the server asks for a pause.
    """

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def accept(url: str, response: "Response", download: Download, part: PartialFile) -> None:
    """Prepare the partial file for the response's body: restart it, or leave it for the rest.

    Raises:
        RefusedError: if the address does not have the file.
        RetryableError: if the server is in trouble, or its file changed since the first bytes came.
    """
    _check_status(response, part)
    if response.status_code == _PARTIAL_CONTENT:
        _check_continuation(url, response, part)
        return
    # Error pages come with status 200, too; a published checksum would catch them after the transfer.
    if not download.checksum[1] and response.headers.get("Content-Type", "").startswith("text/html"):
        raise RefusedError("a web page in place of the file")
    part.restart(ServerFile(url, _version(response), _total(response, download)))


def _check_status(response: "Response", part: PartialFile) -> None:
    code, status = response.status_code, f"{response.status_code} {response.reason}"
    if code in (_OK, _PARTIAL_CONTENT):
        return
    if code == _RANGE_NOT_SATISFIABLE:
        # Our bytes reach beyond the server's file and yet are not all of ours: the file changed.
        part.discard()
    if code in (_REQUEST_TIMEOUT, _RANGE_NOT_SATISFIABLE, _TOO_MANY_REQUESTS) or code >= _SERVER_ERRORS:
        raise RetryableError(status, _retry_after(response))
    raise RefusedError(status)


def _retry_after(response: "Response") -> float | None:
    """Return the seconds of the Retry-After header; None if it is missing or malformed."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return float(Retry().parse_retry_after(response.headers["Retry-After"]))
    except (KeyError, ValueError, OverflowError, InvalidHeader):
        return None


def _total(response: "Response", download: Download) -> int:
    """Return the file's size in bytes, from the server or as published; 0 if neither is known.

    Raises:
        RefusedError: if the two differ.
    """
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal():
        return download.size
    if download.size and int(length) != download.size:
        raise RefusedError(f"{int(length):,} bytes in place of {download.size:,}")
    return int(length)


def _version(response: "Response") -> str:
    """Return the strong ETag, or the modification time; a weak ETag does not identify bytes."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _check_continuation(url: str, response: "Response", part: PartialFile) -> None:
    """Check that a partial response starts where ours ends and is of the same version; discard our bytes if not."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    same_offset = span is not None and part.can_resume(url) and int(span[1]) == part.size
    same_total = span is not None and (span[2] == "*" or part.origin.total in (0, int(span[2])))
    # Some servers ignore If-Range and send the rest of another version.
    same_version = _version(response) in ("", part.origin.version)
    if not (same_offset and same_total and same_version):
        part.discard()
        raise RetryableError("the file changed on the server")
