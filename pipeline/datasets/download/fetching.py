"""Published files by download into the cache, or from the user's own copy."""

from pathlib import Path

from tqdm import tqdm

from pipeline.core import places
from pipeline.core.errors import InputError
from pipeline.datasets.download import cache as cached
from pipeline.datasets.download.cache import Advice
from pipeline.datasets.download.download import Download, mismatch
from pipeline.datasets.download.partial_file import PartialFile
from pipeline.datasets.download.responses import RefusedError
from pipeline.datasets.download.transfer import Transfer, fetch_from

OF_IMAGES = Advice()
STALLED_SECONDS = 30.0
ATTEMPTS = 5


def fetch(
    download: Download,
    *,
    cache: Path | None = None,
    timeout: float = STALLED_SECONDS,
    tries: int = ATTEMPTS,
    advice: Advice = OF_IMAGES,
) -> Path:
    """Return the path of a file in the cache; download it if it is not there.

    An interrupted transfer continues at the same address if the server's file is unchanged. A cached file is
    compared by size each time, and by checksum if it is new or was modified; one that fails is downloaded again.
    Processes that want the same file wait for the first. Proxies are those of the environment (HTTP_PROXY,
    HTTPS_PROXY, NO_PROXY).

    Args:
        download: the published file.
        cache: folder of the cache; `cache_folder()` if None.
        timeout: seconds to connect, and between two reads.
        tries: failures in a row without a new byte after which the next address is tried.
        advice: the ways out that messages name.

    Raises:
        InputError: if no address gives the right file (with the failure of each), if the disk has no room (the
            bytes received so far stay), or if the cache cannot be written.
    """
    file = (cache or cached.cache_folder()) / download.name
    if cached.contains(file, download):
        return file
    cached.make_folder(file.parent, advice.variable)
    with cached.locked(file, advice.variable):
        # Another process may have downloaded it while this one waited.
        if not cached.contains(file, download):
            _download(download, file, timeout=timeout, attempts=tries, advice=advice)
    return file


def forget(download: Download, *, cache: Path | None = None) -> str:
    """Give up a file of the cache that turned out damaged; gives the way out, for the end of a message."""
    file = (cache or cached.cache_folder()) / download.name
    try:
        cached.forget(file, download)
    except OSError as error:
        return f"delete {file} ({error.strerror}), and the same command downloads it again"
    if download.checksum[1]:
        return "the same command compares it with its checksum, and downloads it again if that is another"
    return "it was deleted from the cache, and the same command downloads it again"


def local(download: Download, file: Path) -> Path:
    """Return the user's own copy of a file, in place, after a check.

    Raises:
        InputError: if the path is relative or no file, or if size or checksum differ from the published ones.
    """
    places.check_absolute("archive", str(file))
    if not file.is_file():
        fault = "is not a file" if file.exists() else "does not exist"
        raise InputError(f"archive: '{file}' {fault}; give the downloaded file ({download.name})")
    if fault := mismatch(file, download):
        raise InputError(f"archive: '{file}' is not {download.name} as published: {fault}; download it again")
    return file


def _download(download: Download, file: Path, *, timeout: float, attempts: int, advice: Advice) -> None:
    # Importing requests takes a third of a second: too long for commands that only check settings.
    from requests import Session

    part = PartialFile(file)
    failures = []
    bar = tqdm(desc=download.name, unit="B", unit_scale=True, disable=None)
    with Session() as session, bar:
        transfer = Transfer(download, part, session, bar, timeout, attempts, advice.variable)
        # The address of the partial file comes first: any other would restart it.
        for url in sorted(download.urls, key=lambda url: url != part.origin.url):
            try:
                fetch_from(url, transfer)
            except RefusedError as refusal:
                failures.append(f"{url}: {refusal}")
                continue
            part.move_to(file)
            cached.remember(file, download)
            return
    raise InputError(f"{download.name}: {'; '.join(failures) or 'no server is known to have it'}; {advice.own_copy}")
