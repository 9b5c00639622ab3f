"""The stages of dvc.yaml, each a program that DVC runs as `python -m pipeline.stages.NAME`."""

from pipeline.core.errors import one_line_interruptions
from pipeline.core.following import end_with_dvc

# Here, so that both also hold for the seconds in which a stage imports what it needs.
one_line_interruptions()
end_with_dvc()
