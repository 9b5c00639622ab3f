"""From the values of params.yaml to networks, views and courses: what several stages and commands do alike."""

from collections.abc import Callable, Sequence
from functools import partial

from pipeline import params
from pipeline.core import compiler
from pipeline.datasets.transforms import View, view
from pipeline.networks import freezing
from pipeline.networks.build import Plan, build
from pipeline.networks.network import Network
from pipeline.params import Experiment, Sizes
from pipeline.training.engine import Course, Guide, Phase


def experiment_plan(experiment: Experiment, *, classes: int) -> Plan:
    """What to build for an experiment."""
    settings = experiment.settings
    return plan(settings.network, classes=classes, image_size=settings.data.sizes().input)


def structure(experiment: Experiment, *, classes: int) -> Network:
    """The experiment's network on torch's meta device, without values; refuses parts that do not fit together."""
    with compiler.meta_device():
        return build(experiment_plan(experiment, classes=classes), pretrained=None)


def plan(network: params.Network, *, classes: int, image_size: int) -> Plan:
    """What to build for these settings."""
    attention_options = network.chosen_attention_options()
    return Plan(
        backbone=network.backbone,
        head=network.head,
        classes=classes,
        image_size=image_size,
        head_options=network.chosen_head_options(),
        attention=network.attention,
        position=attention_options.pop("position", None),
        attention_options=attention_options,
    )


def training_view(data: params.Data) -> View:
    """How training images are shown."""
    sizes = data.sizes()
    return view(
        image_size=sizes.image,
        crop_size=sizes.crop,
        crop_padding=data.crop_padding,
        input_size=sizes.input,
        augmentation=data.augmentation,
        options=data.chosen_augmentation_options(),
    )


def still_view(sizes: Sizes) -> View:
    """How test images are shown: the middle of each, not varied."""
    return view(
        image_size=max(sizes.image, sizes.crop),
        crop_size=sizes.crop,
        crop_padding=0,
        input_size=sizes.input,
        augmentation="none",
        options={},
    )


def starts(experiment: Experiment, network: Network) -> list[Callable[[], None]]:
    """What each part does to the network before it begins: freeze what it does not train."""
    still_norms = experiment.settings.train.batch_norm == "eval"
    return [
        partial(freezing.freeze, network, "2" if part.freeze == "scratch" else part.freeze, still_norms=still_norms)
        for part in experiment.parts()
    ]


def course(experiment: Experiment, network: Network, guides: Sequence[Callable[[], Guide | None]] = ()) -> Course:
    """Parts, rates by group and sampling, as the loop takes them.

    Args:
        experiment: what the course is of.
        network: what the parts freeze.
        guides: makes what each part adds to the loss; nothing adds nothing.
    """
    train = experiment.settings.train
    parts = experiment.parts()
    makers = guides or [lambda: None] * len(parts)
    return Course(
        phases=tuple(
            Phase(part.amount, part.lr, start=start, guide=guide, continues=part.continues)
            for part, start, guide in zip(parts, starts(experiment, network), makers, strict=True)
        ),
        lr_factors=train.lr_factors.model_dump(),
        sampler=train.sampler,
        class_weights=train.class_weights,
    )
