"""MLflow as a view of the metrics files, which can be rebuilt at any time; the only importer of mlflow.

One run an experiment, with one nested run a repeat, found or made by a key over what the experiment is. `follow` shows
a training while it goes on; `try_publish` and `publish` make the runs whole once every file is there. mlflow takes
seconds to import, so that happens inside the functions that need it.
"""

from pipeline.evaluation.compare.repeats import Files, Folder
from pipeline.tracking.live import LiveRun, follow
from pipeline.tracking.lookup import recorded, run_of
from pipeline.tracking.models import log_model, runs_without_model
from pipeline.tracking.origin import Origin, made_from, stages_of
from pipeline.tracking.publishing import Published, publish, try_publish
from pipeline.tracking.results import IncompleteError, complete, is_finished, read
from pipeline.tracking.store import database, initialize, is_server, shown, uri

__all__ = [
    "Files",
    "Folder",
    "IncompleteError",
    "LiveRun",
    "Origin",
    "Published",
    "complete",
    "database",
    "follow",
    "initialize",
    "is_finished",
    "is_server",
    "log_model",
    "made_from",
    "publish",
    "read",
    "recorded",
    "run_of",
    "runs_without_model",
    "shown",
    "stages_of",
    "try_publish",
    "uri",
]
