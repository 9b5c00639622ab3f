"""The file of a store: what SQLite and MLflow cannot open it for, each with the way out."""

import os
import re
from pathlib import Path

from pipeline.core import shell
from pipeline.core.errors import InputError
from pipeline.tracking.address import database, shown, uri

ANEW = (
    "`orbweaver sync` makes the runs again, and with --models the model of the working tree's bundle, but no "
    "registered model, note or run of your own"
)
MOVE_AWAY = f"move it away, and {ANEW}"
# SQLite's words.
DAMAGED = ("file is not a database", "database disk image is malformed")
LOCKED, READ_ONLY, UNOPENED = (
    "database is locked",
    "attempt to write a readonly database",
    "unable to open database file",
)
WRITABLE = (
    "you may not write it or its folder; `ls -ld` shows whose they are, or MLFLOW_TRACKING_URI names another store"
)


def check(file: Path) -> None:
    """Check that SQLite can open a file that exists: MLflow would try for two minutes, without a word.

    Raises:
        InputError: where it cannot.
    """
    if not file.is_file():
        raise InputError(f"{file}: is not a file; {MOVE_AWAY}")
    if not os.access(file, os.R_OK):
        raise InputError(f"{file}: you may not read it; `chmod u+rw` on it, or MLFLOW_TRACKING_URI names another store")
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        raise InputError(f"{file}: {WRITABLE}")


def is_locked(error: Exception) -> bool:
    """Return whether another program had the store's file for longer than MLflow waits."""
    return database() is not None and LOCKED in str(error)


def reason(text: str) -> str:
    """Return what is wrong with the store's file, from the text of an error; "" where it is something else."""
    if "out-of-date database schema" in text:
        return _other_version(text)
    if database() is None:
        return ""
    if damage := next((words for words in DAMAGED if words in text), ""):
        return f"damaged ({damage}); {MOVE_AWAY}"
    if LOCKED in text:
        return "locked by another program for longer than MLflow waits; end it, then run the same command again"
    return WRITABLE if READ_ONLY in text or UNOPENED in text else ""


def _other_version(text: str) -> str:
    """Return the way out for tables of another version; the installed MLflow knows those of all before it."""
    from mlflow import __version__
    from mlflow.store import db_migrations

    version = re.search(r"found version (\w+)", text)
    steps = Path(next(iter(db_migrations.__path__)), "versions")
    if version and not any(steps.glob(f"{version[1]}_*.py")):
        way_out = f"or {MOVE_AWAY}" if database() else "or set MLFLOW_TRACKING_URI to another store"
        return f"made by a newer MLflow than {__version__}, which is installed; install that one, {way_out}"
    return f"made by an older MLflow; back it up and run `mlflow db upgrade {shell.quote(shown(uri()))}`"
