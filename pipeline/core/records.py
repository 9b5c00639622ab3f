"""What a repeat's result follows from, kept in two files so that record.json is blind to the labels of test images."""

from collections.abc import Mapping
from typing import Any

# In the run time's file: the hash of the whole data set, which only testing reads in full.
DATA = "data_sha256"


def of_training(record: Mapping[str, Any]) -> dict[str, Any]:
    """The content of record.json: all but the data set's hash, which is also over the labels of test images.

    With other labels of test images, what training leaves is the same, byte for byte.
    """
    data = {name: value for name, value in record["data"].items() if name != "sha256"}
    return {**record, "data": data}


def whole(kept: Mapping[str, Any], runtime: Mapping[str, Any]) -> dict[str, Any]:
    """The record again, from record.json and the run time's file.

    Raises:
        KeyError: the files are of another version.
    """
    return {**kept, "data": kept["data"] | {"sha256": runtime[DATA]}}
