"""Typed files in which the stages record a repeat: record.json, model.json and the run time's file.

record.json is blind to the labels of test images; what those change, and what differs between equal runs, is elsewhere.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, SerializerFunctionWrapHandler, model_serializer

from pipeline.core.imagenet import MEAN, STD
from pipeline.core.naming import Naming
from pipeline.core.precision import Precision
from pipeline.core.recipe import TrainingSettings
from pipeline.core.record_file import Moment, RecordFile, Sparse
from pipeline.core.sections import Head, Network, Sizes
from pipeline.core.types import Count, Name, NotNegative, Positive, Section, Seed, Whole


class DataRecord(Section):
    """The images: their set, its classes in the order of the scores, and how many images there are."""

    set: Name
    classes: tuple[str, ...]
    images: Count


class WeightsRecord(Section):
    """The pre-trained weights that a training starts from.

    Attributes:
        origin: where they are from.
        license: theirs, as SPDX writes it; "" where their publisher states none.
        file_sha256: of the file that they were read from; "" where there was none.
        sha256: of the file that they are in here, cast and under this project's names; "" without weights.
    """

    origin: str
    license: str
    file_sha256: str
    sha256: str

    def public(self) -> "WeightsRecord":
        """Return the same without the name of a file of the user's."""
        return self.model_copy(update={"origin": "a file"}) if self.origin.startswith("file ") else self


class Counted(Section):
    """Numbers of a network, or of a part of it, that train and that do not."""

    trainable: Whole
    frozen: Whole


class ParameterCounts(Counted):
    """Numbers of the network as its last phase has it, and those of the regularizers of all phases."""

    regularizer: Whole


class PhaseRecord(Sparse):
    """A phase of the training as it was.

    Attributes:
        freeze: a strategy, or the name of the first layer that trains.
        amount: in the budget's unit.
        lr: the first rate; 0 where nothing trains.
        regularizer: the method.
        trainable, frozen: how many numbers train, and how many do not.
        regularizer_parameters: how many the regularizer has itself; None, as both below, where it compares no maps.
        hooked_layers: the layers that it compares.
        idle_layers: those in front of all that trains, which are left out.
        head: "solved" where it was, when the phase began; else None.
    """

    freeze: Name
    amount: Count
    lr: NotNegative
    regularizer: Name
    trainable: Whole
    frozen: Whole
    regularizer_parameters: Whole | None = None
    hooked_layers: tuple[str, ...] | None = None
    idle_layers: tuple[str, ...] | None = None
    head: Head | None = None


class Operations(Sparse):
    """Floating-point operations of one image's forward pass, also without attention where there is some."""

    network: Whole
    without_attention: Whole | None = None


class PartSizes(Section):
    """Images in each part."""

    train: Whole
    val: Whole
    test: Whole


# Of a record, what is left out of its file where it is empty.
LEFT_OUT = ("division", "cpu_instructions")


class Record(RecordFile):
    """record.json: what the result of a repeat follows from, and counts.

    Attributes:
        key: a hash over recipe, device and its model, the CPU's instructions, threads, data, weights, code, and the
            division if there is one.
        recipe_name: its section in params.yaml.
        repeat: its number.
        seed: what it was seeded by.
        recipe: the settings.
        device: the kind of device, such as "cuda".
        device_model: of a GPU of CUDA, such as "NVIDIA H100 80GB HBM3", whose kernels decide digits; "" elsewhere: a
            CPU's name decides none, and is in the run time's file.
        cpu_instructions: of the kernels of a CPU, see `cpu_instructions.choose`; "" where another device computed, and
            in files of versions without it, which is left out of the file.
        precision: that which held: "fp32" where "tf32" was asked of a device without TF32.
        threads: CPU threads.
        code: a hash over the source files that the result follows from.
        phases: the training's, in order.
        parameters: numbers of the network.
        stages: numbers by the network's stages, in the order in which they run.
        flops: operations.
        parts: images in each part.
        division: a hash over the groups and parts of images that are named, such as in metadata.csv; "" where none is,
            which is left out of the file.
    """

    key: str
    recipe_name: Name
    repeat: Seed
    seed: Seed
    recipe: TrainingSettings
    device: Name
    device_model: str
    precision: Precision
    threads: Count
    data: DataRecord
    weights: WeightsRecord
    code: str
    phases: tuple[PhaseRecord, ...]
    parameters: ParameterCounts
    stages: Mapping[str, Counted]
    flops: Operations
    parts: PartSizes
    division: str = ""
    cpu_instructions: str = ""

    def public(self) -> "Record":
        """Return the same without the name of a file of weights."""
        return self.model_copy(update={"weights": self.weights.public()})

    @model_serializer(mode="wrap")
    def _without_empty(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name not in LEFT_OUT or value}


class ModelRecord(RecordFile):
    """model.json: what is needed to build a trained network again.

    Attributes:
        network: its backbone, attention and head.
        options: those of its attention and head, by family and name.
        sizes: the sides of its images.
        classes: in the order of its scores.
        mean: per channel, subtracted from images scaled to 0..1.
        std: per channel, by which they are divided then.
    """

    network: Network
    options: Mapping[str, Mapping[str, Mapping[str, Any]]]
    sizes: Annotated[Sizes, PlainSerializer(lambda sizes: sizes._asdict())]
    classes: tuple[str, ...]
    mean: tuple[NotNegative, NotNegative, NotNegative] = MEAN
    std: tuple[Positive, Positive, Positive] = STD


class MachineRecord(Section):
    """A machine, as far as it may be why another one gives other digits."""

    device_name: str
    threads: Count
    versions: Mapping[str, str]
    cpu_instructions: str = ""


class Runtime(RecordFile):
    """metrics/runtime/N.json: what may differ between two equal runs, and the data set's hash.

    Attributes:
        train_seconds: of the loop.
        cache_seconds: the part of it in which the frozen part's features were computed.
        epoch_seconds: of each epoch.
        images_per_second: training images.
        inference_images_per_second: of the forward pass, "network" and "without_attention"; empty without attention.
        device_name: what the device calls itself.
        threads: CPU threads.
        versions: of Python and the packages.
        git_commit: the commit that was checked out; "" outside git.
        git_dirty: whether tracked files differed from it.
        git_changes: how, as `git apply` takes it; None where it was not kept.
        naming: what tells the experiment apart for people.
        started: when training began.
        data_sha256: of all images and labels, those of test images too.
        cpu_instructions: as in `Record`.
    """

    train_seconds: NotNegative
    cache_seconds: NotNegative
    epoch_seconds: tuple[NotNegative, ...]
    images_per_second: NotNegative
    inference_images_per_second: Mapping[str, Positive]
    device_name: str
    threads: Count
    versions: Mapping[str, str]
    git_commit: str
    git_dirty: bool
    git_changes: str | None
    naming: Naming
    started: Moment
    data_sha256: str
    cpu_instructions: str = ""

    @property
    def machine(self) -> MachineRecord:
        """The part that does not differ between two trainings on one machine."""
        return MachineRecord(**{name: getattr(self, name) for name in MachineRecord.model_fields})
