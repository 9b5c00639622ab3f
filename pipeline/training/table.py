"""Tables of the choices in a recipe's `train` section; importing them imports no torch.

The loop needs torch, numpy and tqdm alone, so it cannot read these rows: it calls the function that has a row's name,
in the module that the row's `make` names.
"""

from dataclasses import dataclass

from pipeline.core.choices import Choice


@dataclass(frozen=True, kw_only=True)
class Factory(Choice):
    """A row: a function that takes its options by keyword.

    Attributes:
        make: the function, as "module:attribute".
    """

    make: str


OPTIMIZERS: dict[str, Factory] = {
    "adam": Factory(
        title="Adam",
        description="Adam; weight decay is added to the gradient",
        options="pipeline.training.options:AdamOptions",
        make="pipeline.training.optimizers:adam",
    ),
    "adamw": Factory(
        title="AdamW",
        description="Adam with weight decay apart from the gradient",
        options="pipeline.training.options:AdamOptions",
        make="pipeline.training.optimizers:adamw",
    ),
    "sgd": Factory(
        title="SGD",
        description="stochastic gradient descent with momentum, Nesterov's or plain",
        options="pipeline.training.options:SgdOptions",
        make="pipeline.training.optimizers:sgd",
    ),
}

SCHEDULES: dict[str, Factory] = {
    "constant": Factory(
        title="a constant rate",
        description="the first rate throughout",
        make="pipeline.training.schedules:constant",
    ),
    "step": Factory(
        title="steps",
        description="the rate is multiplied by `factor` after each of the fractions `at` of the budget",
        options="pipeline.training.options:StepOptions",
        make="pipeline.training.schedules:step",
    ),
    "cosine": Factory(
        title="a cosine",
        description="half a cosine down to `final` times the first rate",
        options="pipeline.training.options:CosineOptions",
        make="pipeline.training.schedules:cosine",
    ),
    "exponential": Factory(
        title="an exponential",
        description="falls with each iteration, to `factor` times itself in the fraction `every` of the budget",
        options="pipeline.training.options:ExponentialOptions",
        make="pipeline.training.schedules:exponential",
    ),
}

# The first row of both tables is the default.
SAMPLERS: dict[str, Choice] = {
    "shuffle": Choice(
        title="every image once an epoch",
        description="every image once an epoch, in an order of the epoch's own",
    ),
    "weighted": Choice(
        title="with replacement, each class as often as any other; training's curves are of these draws",
        description="as many draws an epoch as there are images, with replacement, each class as often as any other",
    ),
}

CLASS_WEIGHTS: dict[str, Choice] = {
    "none": Choice(
        title="none",
        description="every image counts the same",
    ),
    "balanced": Choice(
        title="the rarer a class, the more its images count in the training loss, not in the validation's",
        description="an image of class k counts n / (K n_k) in the training loss",
    ),
}
