"""The stages of dvc.yaml, each a program that DVC runs as `python -m pipeline.stages.NAME`."""

from pipeline.core.following import end_with_dvc

# Here, so that it also holds for the seconds in which a stage imports what it needs.
end_with_dvc()
