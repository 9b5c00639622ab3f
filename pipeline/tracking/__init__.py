"""MLflow as a view of the metrics files, which can be rebuilt at any time; the only importer of mlflow.

One run an experiment, with one nested run a repeat, found or made by a key over what the experiment is. `follow` shows
a training while it goes on; `try_publish` and `publish` make the runs whole once every file is there. mlflow takes
seconds to import, so that happens inside the functions that need it.
"""

from pipeline.evaluation.compare.repeats import Files, Folder
from pipeline.tracking.address import database, is_server, shown, uri
from pipeline.tracking.live import LiveRun, follow
from pipeline.tracking.lookup import key_of, recorded, run_of
from pipeline.tracking.models import content_key, log_bundle, try_log_bundle
from pipeline.tracking.origin import RunOrigin, made_from, stages_of
from pipeline.tracking.privacy import hides
from pipeline.tracking.publishing import Published, publish, try_publish
from pipeline.tracking.registry import Version, register, version_of
from pipeline.tracking.results import IncompleteError, Results, complete, is_finished, read
from pipeline.tracking.store import initialize

__all__ = [
    "Files",
    "Folder",
    "IncompleteError",
    "LiveRun",
    "Published",
    "Results",
    "RunOrigin",
    "Version",
    "complete",
    "content_key",
    "database",
    "follow",
    "hides",
    "initialize",
    "is_finished",
    "is_server",
    "key_of",
    "log_bundle",
    "made_from",
    "publish",
    "read",
    "recorded",
    "register",
    "run_of",
    "shown",
    "stages_of",
    "try_log_bundle",
    "try_publish",
    "uri",
    "version_of",
]
