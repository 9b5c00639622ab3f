"""Files of weights on the Hugging Face hub, kept in its own cache and compared with the digest that it was given by."""

import os
import re
from pathlib import Path

from pipeline.core import digests
from pipeline.core.errors import InputError
from pipeline.networks.backbones.table import BackboneRow

FILES = ("model.safetensors", "pytorch_model.bin")
# The hub names large files by their SHA-256.
_SHA256 = re.compile(r"[0-9a-f]{64}")


def cached(row: BackboneRow) -> Path:
    """Return where the file of a row's weights is kept, or, where it is not, would begin to be looked for."""
    from huggingface_hub import constants, try_to_load_from_cache

    found = (try_to_load_from_cache(row.hub, name) for name in _names(row))
    return next((Path(one) for one in found if isinstance(one, str)), Path(constants.HF_HUB_CACHE) / FILES[0])


def fetch(row: BackboneRow) -> tuple[Path, str]:
    """Fetch the file of a row's weights, unless it is in the cache.

    Returns:
        Its place, and its SHA-256.

    Raises:
        InputError: where the hub does not give it, and where it is not what the hub had named.
    """
    path = cached(row)
    if not path.is_file():
        path = _download(row)
    digest = digests.sha256(path)
    stored = path.resolve()
    if _SHA256.fullmatch(stored.name) and stored.name != digest:
        raise InputError(f"weights: {stored} is not what was published; delete it, and it is downloaded again")
    return path, digest


def _names(row: BackboneRow) -> tuple[str, ...]:
    return (row.hub_file,) if row.hub_file else FILES


def _download(row: BackboneRow) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    problem = ""
    for name in _names(row):
        try:
            return Path(hf_hub_download(row.hub, name))
        # Any: errors of transport are another library's from version to version.
        except Exception as error:
            problem = " ".join(str(error).split())[:200]
            # Only a file that is not there may be there by another name.
            if not isinstance(error, EntryNotFoundError) or isinstance(error, LocalEntryNotFoundError):
                break
    raise InputError(
        f"weights: {row.hub} cannot be downloaded from the Hugging Face hub: {problem}; go online once (gated models "
        "also need `hf auth login`), or give a file of your own: -S weights=file -S weights_file=/path/to/it"
    )
