"""A study as a file says it: experiments side by side, in the vocabulary of params.yaml, and what a paper printed."""

import difflib
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.config import messages
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.core.shortening import cut, shown
from pipeline.studies import combinations

# Of names that a message lists.
LONGEST_LIST = 400
FOLDER = Path("studies")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _nothing(values: object) -> object:
    """Return an empty mapping for a cell that changes nothing and was left empty."""
    return {} if values is None else values


Settings = Annotated[dict[str, Any], BeforeValidator(_nothing)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Source(_Part):
    """Where the figures were printed.

    Attributes:
        paper: whose they are.
        table: where in it.
        data: the set that they are of, where the study takes the user's photographs as that set is not public.
    """

    paper: str
    table: str
    data: str = ""


class Cell(_Part):
    """One experiment of a study: what it sets beside what all set."""

    set: Settings = Field(default_factory=dict)


class PrintedClass(_Part):
    """The printed results of one class, in percent."""

    precision: Percent
    recall: Percent
    printed_as: str = ""


class Printed(_Part):
    """The printed results of one cell, as they stand there: percent, seconds, numbers of parameters."""

    accuracy: Percent | None = None
    sd: Percent | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    trainable: Annotated[int, Field(ge=0)] | None = None
    frozen: Annotated[int, Field(ge=0)] | None = None
    parameters_millions: Annotated[float, Field(gt=0)] | None = None
    loss: Annotated[float, Field(ge=0)] | None = None
    runs: tuple[Percent, ...] = ()
    classes: dict[str, PrintedClass] = Field(default_factory=dict)


class Study(_Part):
    """A study's file.

    Attributes:
        title: what it asks.
        source: where the printed figures are from; None for a study of one's own.
        set: what all cells set, by the keys of params.yaml.
        cells: by name.
        grid: axes of which every combination is a cell; an axis is a key of params.yaml with a list of its values, or
            any word with named choices, each a `set` of its own.
        baseline: the cell that the others are compared with; by default the first.
        printed: the paper's figures by cell.
        slips: what is known to be wrong or unclear in what was printed, and where ours differs, a sentence each.
    """

    title: Annotated[str, Field(min_length=1)]
    source: Source | None = None
    set: Settings = Field(default_factory=dict)
    cells: Annotated[dict[str, Annotated[Cell, BeforeValidator(_nothing)]], BeforeValidator(combinations.as_text)] = (
        Field(default_factory=dict)
    )
    grid: dict[str, Annotated[dict[str, Any], BeforeValidator(combinations.axis)]] = Field(default_factory=dict)
    baseline: str | None = None
    printed: Annotated[dict[str, Printed], BeforeValidator(combinations.as_text)] = Field(default_factory=dict)
    slips: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> "Study":
        combinations.check(self.grid)
        cells = self.settings()
        if not cells:
            raise ValueError("cells: has none; name one, such as cells: {mine: {set: {freeze: 3b}}}, or give a grid")
        for name in cells:
            if not combinations.NAME.fullmatch(name):
                raise ValueError(f"cells: {shown(name)} {combinations.NO_NAME}")
        for name in [*self.printed, *([self.baseline] if self.baseline else [])]:
            if name not in cells:
                where = "printed" if name in self.printed else "baseline"
                raise ValueError(
                    f"{where}: {shown(name)} is no cell; the cells are {cut(', '.join(cells), LONGEST_LIST)}"
                )
        return self

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return each cell's own settings, the combinations of the grid first.

        Raises:
            ValueError: where two have the same name.
        """
        combined = combinations.combined(self.grid)
        if twice := next((name for name in self.cells if name in combined), None):
            raise ValueError(f"cells: {shown(twice)} is also a combination of the grid; rename it in `cells`")
        return combined | {name: dict(cell.set) for name, cell in self.cells.items()}

    def first(self) -> str:
        """Return the cell that the others are compared with."""
        return self.baseline or next(iter(self.settings()))


class Named(NamedTuple):
    """A study, what it is called and the file that it is in."""

    name: str
    file: Path
    study: Study


def names() -> list[str]:
    """Return the studies in `studies/`."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def find(given: str) -> Named:
    """Return the study of this name in `studies/`, or in this file.

    Raises:
        InputError: where there is none, and where its file is wrong.
    """
    file = Path(given) if given.endswith((".yaml", ".yml")) else FOLDER / f"{given}.yaml"
    if not file.is_file():
        near = difflib.get_close_matches(given, names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names()) or 'none'}; or give a .yaml file"
        raise InputError(f"study {shown(given)}: there is no {file}; {hint}")
    if not combinations.NAME.fullmatch(file.stem):
        raise InputError(f"{file}: {file.stem!r} is not a valid name for a study; use letters, digits, - and _")
    return Named(file.stem, file, load(file))


def load(file: Path) -> Study:
    """Read and check a study's file.

    Raises:
        InputError: naming the file, the key and what would do.
    """
    values = read_yaml(file)
    if not isinstance(values, dict):
        raise InputError(f"{file}: a mapping of keys is needed: {', '.join(Study.model_fields)}")
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{file}: {messages.one_line(error, values, Study, str)}") from None
