"""The resolved recipe: every setting of one experiment, with nothing left to decide.

The stage `validate` writes it to data/recipe.yaml, and all later stages read it from there. Its values were checked
against params.yaml's own types before, so that what is wrong here is an edited or an old file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from pipeline.core import paths
from pipeline.core.cpu_instructions import CpuInstructions
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.core.naming import UNNAMED, Naming, Own
from pipeline.core.sections import PHASES, Data, Network, Regularizer, Train
from pipeline.core.types import Minutes, Name, Repeats, Section, Threads, first_problem

# The families of options that training reads; the other one is the data's. That of freezing is there for LoRA alone.
TRAINED_BY = ("augmentation", "freeze", "attention", "head", "optimizer", "schedule", "regularizer")


class TrainingSettings(Section):
    """Settings from which a trained network follows; `options` are those of the choices that were made, by family."""

    data: Data
    network: Network
    train: Train
    regularizer: Regularizer
    options: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @model_validator(mode="after")
    def _trains_in_phases(self) -> Self:
        if not self.train.phases:
            raise ValueError("train.phases is empty")
        return self

    @property
    def in_phases(self) -> bool:
        """Whether the recipe itself says how its phases freeze."""
        return self.network.freeze == PHASES

    def options_of(self, family: str, choice: str | None = None) -> dict[str, Any]:
        """Return the options of a choice; empty where it has none.

        Args:
            family: a key of `options`, such as "attention".
            choice: the name of the choice; by default the only one of its family.
        """
        choices = self.options.get(family, {})
        return dict(choices.get(choice, {}) if choice else next(iter(choices.values()), {}))


class Tracking(Section):
    """The content of MLflow's runs; no result follows from it.

    Attributes:
        images: whether photographs, their files' names and the places of files may be in them.
        system_metrics: whether a training's run has the load of the machine.
    """

    images: bool = False
    system_metrics: bool = False


class Recipe(TrainingSettings):
    """The settings of one experiment.

    Attributes:
        recipe: the name of its section in params.yaml.
        cite: the paper that it is from.
        repeats: the numbers of the repeats.
        device: as params.yaml has it; each stage that computes resolves `auto` itself.
        threads: likewise.
        cpu_instructions: those of the CPU's kernels; files of versions without the key have none.
        checkpoint_every: minutes between two checkpoints of a training; 0 for only after each phase and on a stop.
        mlflow: what of it is shown in MLflow.
        naming: what tells it apart for people.
        own: what the recipe says by itself; None in files of versions that did not write it.
    """

    recipe: Name
    cite: str
    repeats: Repeats
    device: Name
    threads: Threads | Literal["auto"]
    cpu_instructions: CpuInstructions = "native"
    checkpoint_every: Minutes
    mlflow: Tracking = Tracking()
    naming: Naming = UNNAMED
    own: Own | None = None

    def settings(self) -> TrainingSettings:
        """Return what a trained network follows from, without the options of drawn images."""
        return TrainingSettings(
            data=self.data,
            network=self.network,
            train=self.train,
            regularizer=self.regularizer,
            options={family: self.options[family] for family in TRAINED_BY if family in self.options},
        )

    def plain(self) -> dict[str, Any]:
        """Return nested plain data, with the name and its source first."""
        values = self.model_dump(mode="json")
        return {name: values[name] for name in dict.fromkeys(("recipe", "cite", *values))}

    @classmethod
    def read(cls, file: Path = paths.RECIPE) -> "Recipe":
        """Read the resolved recipe.

        Raises:
            InputError: for a file that is missing, is not YAML, or is not a whole recipe.
        """
        try:
            return cls.model_validate(read_yaml(file))
        except FileNotFoundError:
            raise InputError(f"{file}: no such file; `dvc repro` makes it") from None
        except ValidationError as error:
            raise InputError(f"{file}: {first_problem(error)}; `dvc repro -f validate` writes it again") from None
