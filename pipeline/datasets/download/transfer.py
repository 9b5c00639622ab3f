"""The transfer of one file from one address: requests, retries with pauses, and continuation after an interruption."""

from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.space import check_room
from pipeline.datasets.download.cache import CACHE_VARIABLE
from pipeline.datasets.download.download import Download, mismatch
from pipeline.datasets.download.partial_file import PartialFile
from pipeline.datasets.download.responses import RefusedError, RetryableError, accept

if TYPE_CHECKING:
    from requests import Response, Session

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
LONGEST_WAIT_SECONDS = 300.0
_READ_BYTES = 2**18


@dataclass(frozen=True)
class Transfer:
    """The state shared by all requests for one file.

    Attributes:
        download: the published file.
        part: the bytes received so far.
        session: the HTTP session.
        bar: the progress bar.
        timeout: seconds to connect, and between two reads.
        attempts: failures in a row without a new byte after which an address is given up.
        variable: names another folder of the cache.
    """

    download: Download
    part: PartialFile
    session: "Session"
    bar: "tqdm[Any]"
    timeout: float
    attempts: int
    variable: str = CACHE_VARIABLE


def fetch_from(url: str, transfer: Transfer) -> None:
    """Download the whole file from one address into the partial file, and check it.

    Raises:
        RefusedError: if this address does not give the file; a wrong file is deleted.
    """
    # Bytes of an earlier run may be damaged, so a mismatch after a continuation is worth one fresh transfer.
    rounds = 2 if transfer.part.can_resume(url) else 1
    for _ in range(rounds):
        _receive_with_retries(url, transfer)
        # Without a size or a checksum nothing else would tell.
        fault = mismatch(transfer.part.path, transfer.download) if transfer.part.size else "an empty file"
        if not fault:
            return
        transfer.part.discard()
    raise RefusedError(f"{fault}; what came was deleted")


def _receive_with_retries(url: str, transfer: Transfer) -> None:
    most, failures = transfer.part.size, 0
    while not transfer.part.is_complete(url):
        try:
            _receive(url, transfer)
            return
        except RetryableError as error:
            failures = failures + 1 if transfer.part.size <= most else 1
            most = max(most, transfer.part.size)
            pause = error.pause
            if pause is None:
                pause = min(FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)
            if pause > LONGEST_WAIT_SECONDS:
                raise RefusedError(f"{error}, and not to be asked for at least {pause:,.0f} s") from None
            if failures >= transfer.attempts:
                raise RefusedError(f"{error}, {counted(failures, 'try', 'tries')}") from None
            transfer.bar.set_postfix_str(f"{error}; again in {pause:.0f} s")
            sleep(pause)


def _receive(url: str, transfer: Transfer) -> None:
    """Send one request and append its body to the partial file."""
    from requests import exceptions as requests_errors
    from urllib3 import exceptions as urllib3_errors

    # Servers that compress on the fly, or label a .tgz as a compressed .tar, would give other bytes than published.
    headers = {"Accept-Encoding": "identity"}
    if transfer.part.can_resume(url):
        headers |= {"Range": f"bytes={transfer.part.size}-", "If-Range": transfer.part.origin.version}
    try:
        with transfer.session.get(url, headers=headers, timeout=transfer.timeout, stream=True) as response:
            accept(url, response, transfer.download, transfer.part)
            _prepare(transfer)
            _append(response, transfer)
    except requests_errors.Timeout:
        raise RetryableError(f"no answer within {transfer.timeout:g} s") from None
    except (
        requests_errors.ConnectionError,
        requests_errors.ChunkedEncodingError,
        requests_errors.ContentDecodingError,
    ) as error:
        raise RetryableError(_innermost(error)) from None
    except requests_errors.RequestException as error:
        raise RefusedError(str(error)) from None
    except ValueError as error:
        # The standard library parses the address of a redirection.
        raise RefusedError(f"a redirection to a malformed address ({error})") from None
    except urllib3_errors.ReadTimeoutError:
        raise RetryableError(f"stalled for {transfer.timeout:g} s at {_progress(transfer)}") from None
    except urllib3_errors.HTTPError:
        raise RetryableError(f"cut at {_progress(transfer)}") from None


def _prepare(transfer: Transfer) -> None:
    """Check the disk space for the rest, and set the progress bar to what is there."""
    size, total = transfer.part.size, transfer.part.origin.total
    check_room(
        transfer.part.path.parent,
        max(total - size, 0),
        way_out=f"free some, or name another folder in {transfer.variable}",
    )
    transfer.bar.total, transfer.bar.n = total or None, size
    transfer.bar.set_postfix_str("")


def _append(response: "Response", transfer: Transfer) -> None:
    total = transfer.part.origin.total
    missing = total - transfer.part.size if total else None
    try:
        with transfer.part.path.open("ab") as file:
            while chunk := response.raw.read1(_READ_BYTES, decode_content=False):
                if missing is not None:
                    missing -= len(chunk)
                    if missing < 0:
                        transfer.part.discard()
                        raise RefusedError(f"more than {total:,} bytes")
                file.write(chunk)
                transfer.bar.update(len(chunk))
    except OSError as error:
        raise InputError(
            f"{transfer.part.path}: {error.strerror} at {_progress(transfer)}; free some, or name another folder in "
            f"{transfer.variable}; what has come is kept, and the next run goes on from there"
        ) from None
    if missing:
        raise RetryableError(f"cut at {_progress(transfer)}")


def _progress(transfer: Transfer) -> str:
    total = transfer.part.origin.total
    return f"{transfer.part.size:,}" + (f" of {total:,}" if total else "") + " bytes"


def _innermost(error: Exception) -> str:
    """Return the message of the system or of TLS, without the layers of libraries around it.

    >>> _innermost(ConnectionError("<urllib3.connection object at 0x7f>: Failed: [Errno 111] Connection refused"))
    '[Errno 111] Connection refused'
    """
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", inner)).rpartition(": ")[2]
