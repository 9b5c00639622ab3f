"""source.json: what the stage `source` says of the pre-trained weights that it has put into a file."""

from pipeline.core.record_file import RecordFile
from pipeline.core.records import WeightsRecord
from pipeline.core.types import Name


class SourceRecord(RecordFile):
    """source.json.

    Attributes:
        backbone: whose the weights are.
        weights: what is recorded of them in every repeat.
    """

    backbone: Name
    weights: WeightsRecord
