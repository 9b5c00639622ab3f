"""The address of the MLflow store: a database in the user's own clone, or what MLFLOW_TRACKING_URI names."""

import os
import re
from pathlib import Path

from pipeline.core import paths


def uri() -> str:
    """Return where the runs go: MLFLOW_TRACKING_URI, else a database in the user's own clone.

    A relative path of sqlite is below the clone's root, so that queue runs, which start elsewhere, agree on it.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.MLFLOW_DATABASE}"
    scheme, slashes, place = given.partition(":///")
    return f"{scheme}{slashes}{paths.root() / place}" if scheme == "sqlite" else given


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
