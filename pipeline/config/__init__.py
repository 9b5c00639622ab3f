"""params.yaml: checked, resolved to one recipe, and remarked on."""

from pipeline.config.changes import naming
from pipeline.config.remarks import remarks
from pipeline.config.resolve import Resolved, resolve
from pipeline.config.settings import Settings, check, load, read, tracking

__all__ = ["Resolved", "Settings", "check", "load", "naming", "read", "remarks", "resolve", "tracking"]
