"""params.yaml with `-S` words put in by DVC's own grammar, the file itself as it is."""

import itertools
import json
import re
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline import config
from pipeline.config import Resolved, messages
from pipeline.config.choices import AXES
from pipeline.core import paths, yaml_limits
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.core.shortening import cut
from pipeline.datasets.collect import sets

LONGEST_SHOWN = 100
# The signs of a value that follows from others, and of one that is missing, in DVC's grammar.
FOLLOWED = ("${", "???")
QUOTED = "KEY=VALUE is needed, and quotes around a value with signs in it, such as \"folder='/my photos'\""
# The axes that images follow from; the others are of the network and its training.
OF_IMAGES = ("data", "image_size")
# A key without signs of DVC's grammar.
PLAIN_KEY = re.compile(r"[\w.]+")
# A key of a recipe, in a word after -S without a sign in front.
OF_A_RECIPE = re.compile(r"recipes\.(?P<recipe>\w+)\.(?P<name>[\w.]+)=(?P<value>.*)", re.DOTALL)


class UnknownKeyError(InputError):
    """An override of a key that params.yaml does not have.

    Attributes:
        key: the key.
        hint: what to do in a file, where nobody has typed a word after -S: the nearest key of its section.
    """

    def __init__(self, message: str, key: str, hint: str) -> None:
        super().__init__(message)
        self.key, self.hint = key, hint


def option(
    text: str = "Set a key of params.yaml, as in `dvc exp run`; repeatable.",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator for the option of the commands that take settings as DVC's own command does.

    Args:
        text: its help.
    """
    return click.option("-S", "--set", "sets", multiple=True, metavar="KEY=VALUE", help=text)


def read(overrides: Sequence[str]) -> Resolved:
    """Return the experiment of params.yaml with overrides put in; the file itself stays as it is.

    Raises:
        InputError: for an override that DVC would refuse, and for what params.yaml may not hold.
    """
    return next(read_each([overrides]))


def read_each(cells: Iterable[Sequence[str]]) -> Generator[Resolved]:
    """Yield the same for many.

    Raises:
        InputError: as `read` does.
    """
    checked = None
    for values in _changed(cells):
        checked = config.check(values, like=checked)
        yield config.resolve(checked)


def read_images(overrides: Sequence[str]) -> tuple[Resolved, str]:
    """Return the experiment as `read` does, and why it would be refused for what does not concern its images.

    Then all that does not is the recipe's own. The reason is empty where nothing would be refused.

    Raises:
        InputError: as `read` does, but for settings that exclude each other and leave the images as they are.
    """
    values = next(_changed([overrides]))
    try:
        return config.resolve(config.check(values)), ""
    except InputError as refused:
        others = dict.fromkeys((axis for axis in AXES if axis not in OF_IMAGES), AUTO)
        try:
            return config.resolve(config.check(values | others)), str(refused)
        except InputError:
            raise refused from None


def say_remarks(resolved: Resolved) -> None:
    """Print the remarks on the settings that a run would print, before time is spent on what was not meant."""
    for remark in config.remarks(resolved):
        click.echo(f"settings: note: {remark}", err=True)


def _changed(cells: Iterable[Sequence[str]]) -> Iterator[Any]:
    """Yield the values of params.yaml with overrides put in, for each cell; blocks without any are the same objects."""
    values = config.read()
    if not isinstance(values, dict):
        config.check(values)
    text = ""
    with tempfile.TemporaryDirectory() as scratch:
        for overrides in cells:
            if not overrides:
                yield values
                continue
            if not text:
                text = _as_json(values)
                plain = json.loads(text)
            every = any(sign in part for sign in FOLLOWED for part in (text, *overrides))
            yield _override(Path(scratch) / "params.json", overrides, plain, every=every)


def _as_json(values: Any) -> str:
    """Return the values as JSON; keys that it cannot have are refused as params.yaml's are."""
    try:
        return json.dumps(values, default=str)
    except TypeError:
        config.check(values)
        raise


def _override(copy: Path, overrides: Sequence[str], values: Mapping[str, Any], *, every: bool) -> dict[str, Any]:
    """Return the values with overrides put in by DVC.

    It takes 0.1 s for all values of params.yaml, so it gets those below the keys at the top that the overrides name. It
    gets them as JSON, which it reads and writes in a fraction of the time.

    Args:
        copy: a file that may be overwritten.
        overrides: as after -S.
        values: of params.yaml, as JSON has them.
        every: whether it has to get all of them.

    Raises:
        InputError: for an override that DVC would refuse.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides, to_hydra_overrides
    from hydra.errors import OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    for word in overrides:
        _check_size(word)
    words = cut(" ".join(f"-S {word}" for word in overrides), LONGEST_SHOWN)
    try:
        parsed = to_hydra_overrides(list(overrides))
        if any(override.is_sweep_override() for override in parsed):
            raise InputError(f"{words}: one value is needed; several are for `dvc exp run --queue`")
        tops = {re.split(r"[.\[]", override.key_or_group)[0] for override in parsed}
        part = values if every or not tops <= values.keys() else {name: values[name] for name in tops}
        copy.write_text(json.dumps(part), encoding="utf-8")
        apply_overrides(copy, list(overrides))
    except OverrideParseException as error:
        raise InputError(f"{words}: {cut(_first_line(error), LONGEST_SHOWN)}; {QUOTED}") from None
    except (DvcException, OmegaConfBaseException) as error:
        reason = _first_line(error.__cause__ or error).partition(". To append")[0].rstrip(".")
        raise _refused(f"{words}: {cut(reason, LONGEST_SHOWN)}", overrides, values) from None
    changed = json.loads(copy.read_text(encoding="utf-8"))
    return {name: value for name, value in (values | changed).items() if name in changed or name not in part}


def _refused(message: str, overrides: Sequence[str], values: Mapping[str, Any]) -> InputError:
    """Return the error for overrides that DVC refuses, with the way out."""
    instead = _instead(overrides, values)
    message = f"{message}; {instead or 'the keys are those of params.yaml'}"
    for word in overrides:
        key = word.partition("=")[0]
        if PLAIN_KEY.fullmatch(key) and (hint := _unknown(key, values)):
            return UnknownKeyError(message, key, instead or hint)
    return InputError(message)


def _check_size(word: str) -> None:
    """Refuse a word that the parser of DVC's grammar would take minutes or its whole stack for."""
    if len(word) > yaml_limits.LONGEST:
        raise InputError(
            f"-S {cut(word, LONGEST_SHOWN)}: at most {yaml_limits.LONGEST:,} are read; write it into {paths.PARAMS}"
        )
    depth = itertools.accumulate((sign in "[{(") - (sign in "]})") for sign in word)
    if max(depth, default=0) > yaml_limits.DEEPEST:
        raise InputError(f"-S {cut(word, LONGEST_SHOWN)}: more than {yaml_limits.DEEPEST} nested brackets; give fewer")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _instead(overrides: Sequence[str], values: Mapping[str, Any]) -> str:
    """Return the word that sets what a recipe does not state; "" where no word is of such a key."""
    for word in overrides:
        match = OF_A_RECIPE.fullmatch(word)
        own = values.get("recipes", {}).get(match["recipe"]) if match else None
        if match and isinstance(own, Mapping) and _unknown(match["name"], own):
            name = match["name"] if match["name"].startswith("options.") else f"defaults.{match['name']}"
            if not _unknown(name, values):
                return (
                    f"the recipe {match['recipe']} does not state {match['name']}; "
                    f"set it for all that do not with -S {name}={match['value']}"
                )
    return ""


def _unknown(key: str, values: Any) -> str:
    """Return that a key is unknown, with what may have been meant; "" where it is known."""
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return messages.unknown(part, key, values if isinstance(values, Mapping) else ())
        values = values[part]
    return ""


def places(resolved: Resolved) -> dict[str, str]:
    """Return the places of the user's own files that the experiment reads, by their key in params.yaml."""
    axes, given_by = resolved.settings.axes, sets.known(resolved.recipe.data.set).given_by
    read_by = {
        "folder": given_by == "folder",
        "archive": given_by == "archive" and resolved.settings.place_of("archive") is not None,
        "weights_file": resolved.recipe.network.weights == "file",
    }
    return {name: getattr(axes, name) for name, is_read in read_by.items() if is_read}
