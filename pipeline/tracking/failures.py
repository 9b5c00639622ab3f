"""Failures of a store, each as one line that names it and the way out."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.errors import InputError, is_local, line_of
from pipeline.tracking import database_file
from pipeline.tracking.address import NO_ADDRESS, shown, uri
from pipeline.tracking.labels import NAME

USER, PASSWORD, EXPERIMENT = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_EXPERIMENT_NAME"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
STATUS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}
LONGEST_REASON = 200


class AwayError(InputError):
    """A store that does not answer, or not now: the same request may succeed later."""


@contextmanager
def told_in_a_line(model: str = "") -> Iterator[None]:
    """Turn what a store can fail with into an `InputError` that names the store; `AwayError` where it is away.

    An error of a file or disk of this machine names that alone.

    Args:
        model: the registered model that is read or written; empty for runs of the experiment.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        # `_failures` would import for seconds, from modules that an interrupt may have left half imported.
        raise
    except _failures() as error:
        # Our own copies, or a disk: the store has no part in it.
        for one in (error, error.__cause__, error.__context__):
            if isinstance(one, OSError) and is_local(one):
                raise InputError(line_of(one)) from None
        reason = _away(error)
        kind = AwayError if reason or database_file.is_locked(error) else InputError
        raise kind(f"{shown(uri())}: {reason or _refused(error, model) or _reason(error)}") from None


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors that a store can fail with; called only after a failure, as the import takes seconds."""
    try:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return (OSError, ImportError)
    return (OSError, ImportError, MlflowException, SQLAlchemyError)


def _away(error: Exception) -> str:
    """Return in words why a server did not answer; "" where it did.

    MLflow asks again after a timeout or a status of 429 or 5xx, and then hides requests' error behind its own.
    """
    from requests.exceptions import ConnectionError, RetryError, Timeout

    for one in (error, error.__cause__, error.__context__):
        if isinstance(one, ConnectionError | RetryError | Timeout):
            inner = getattr(one.args[0] if one.args else None, "reason", None) or one
            reason = re.split(r"\] |: ", str(inner))[-1]
            if late := re.search(r"read timeout=([\d.]+)", str(inner)):
                return f"took longer than {late[1]} s to answer; is the server up? {TIMEOUT}=SECONDS gives it more time"
            whole = reason.rstrip("')") if reason.count(")") > reason.count("(") else reason
            return f"does not answer ({shown(whole)}); is MLFLOW_TRACKING_URI right, and the server up?"
    return ""


def _refused(error: Exception, model: str) -> str:
    """Return what a server asks for that refuses this user; "" for any other error."""
    from mlflow.utils.credentials import read_mlflow_creds

    user = read_mlflow_creds().username
    match STATUS.get(getattr(error, "error_code", "")) or getattr(getattr(error, "response", None), "status_code", 0):
        case 401 if not user:
            return f"asks who you are (401): set {USER} and {PASSWORD}"
        case 401:
            return f"refuses the user {user!r} with this password (401): see {USER} and {PASSWORD}"
        case 403:
            name = os.environ.get(EXPERIMENT) or NAME
            if model:
                return (
                    f"the user {user!r} may not do this (403): an admin of the server can give MANAGE on the "
                    f"registered model {model!r} and the experiment {name!r}, or --name names a model of your own"
                )
            return (
                f"the user {user!r} may not do this (403): an admin of the server can give MANAGE on the experiment "
                f"{name!r}, or {EXPERIMENT} names one of your own"
            )
    return ""


def _reason(error: Exception) -> str:
    text = shown(" ".join(str(error).split()))
    if reason := database_file.reason(text):
        return reason
    if "unsupported URI" in text:
        return NO_ADDRESS
    # What SQLAlchemy adds is of use to those who wrote the request.
    text = re.split(r" \[SQL:| \(Background on", text)[0]
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
