"""The address of the MLflow store: a database in the user's own clone, or what MLFLOW_TRACKING_URI names."""

import os
import re
from pathlib import Path

from pipeline.core import paths
from pipeline.core.errors import InputError

NO_ADDRESS = "no address that MLflow takes, such as http://HOST or sqlite:///FILE; set MLFLOW_TRACKING_URI, or unset it"


def uri() -> str:
    """Return where the runs go: MLFLOW_TRACKING_URI, else a database in the user's own clone.

    A relative path of sqlite is below the clone's root, so that queue runs, which start elsewhere, agree on it.

    Raises:
        InputError: for an address that MLflow does not take, and a root that none of its databases can be made in.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    # A blank is what a shell's variable leaves that is not set.
    address = named if named.strip() else f"sqlite:///{paths.MLFLOW_DATABASE}"
    # MLflow no longer writes runs into folders.
    if address.startswith("file:") or ("://" not in address and not is_server(address)):
        raise InputError(f"{shown(address)}: {NO_ADDRESS}")
    scheme, slashes, place = address.partition(":///")
    if scheme != "sqlite":
        return address
    _check(paths.root(), relative=not Path(place).is_absolute())
    return f"{scheme}{slashes}{paths.root() / place}"


def _check(root: Path, *, relative: bool) -> None:
    """Refuse a root that MLflow cannot have a database in, or beside the artifacts of one elsewhere."""
    if relative and "?" in str(root):
        # SQLAlchemy takes what follows for options, and would make the database elsewhere.
        reason = "its path has a question mark, which ends the name of a file in MLflow's addresses"
    elif "'" in str(root) and '"' in str(root):
        # MLflow writes the folder of its artifacts into SQL as Python's `repr` does, which is no text of SQL then.
        reason = "its path has both sorts of quotation marks, which MLflow cannot write into its database"
    else:
        return
    raise InputError(f"{root}: {reason}; rename the folder")


def database_at(place: str) -> Path | None:
    """Return the file that an address of SQLite names; None for any other address."""
    return Path(place.removeprefix("sqlite:///").partition("?")[0]) if place.startswith("sqlite:///") else None


def database() -> Path | None:
    """Return the file that holds the runs; None where a server does."""
    return database_at(uri())


def is_server(place: str) -> bool:
    """Return whether an address is that of a server, which keeps the artifacts itself."""
    return place.startswith(("http://", "https://", "databricks"))


def shown(text: str) -> str:
    """Return an address without its user name and password, in which an @ may be.

    >>> shown("http://ada:s@s@example.org: no answer"), shown("postgresql://db/runs?password=s&user=ada")
    ('http://example.org: no answer', 'postgresql://db/runs?password=...&user=ada')
    """
    return re.sub(r"([?&]password=)[^&\s]*", r"\1...", re.sub(r"//[^/\s]*@", "//", text))
