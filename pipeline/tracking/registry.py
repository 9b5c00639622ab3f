"""MLflow's model registry: bundles as versions of a model, one of which has an alias."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.bundles import contents
from pipeline.bundles.description import FILE, parse
from pipeline.core.errors import InputError
from pipeline.tracking import models
from pipeline.tracking.failures import told_in_a_line
from pipeline.tracking.store import Store, opened, quieten

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# MLflow's own databases hold as many characters.
LONGEST_CARD = 5000
CUT = "\n\nThe whole card is README.md of the bundle, among the model's artifacts.\n"
# The metadata at a card's top, which is no Markdown.
METADATA = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
# What MLflow takes as an alias, and what it keeps for itself.
ALIAS, RESERVED = re.compile(r"[\w-]{1,255}"), re.compile(r"v\d+|latest", re.IGNORECASE)


class Version(NamedTuple):
    """A version of a registered model.

    Attributes:
        number: as MLflow counts.
        bundle: the hash of its bundle's content; "" where it is of no bundle.
        experiment: the key of its experiment.
        kind: of its bundle.
        scored: whether it has a test score of its own.
        images: a hash over the images and labels of its data set; "" where it is not known.
    """

    number: str
    bundle: str
    experiment: str
    kind: str
    scored: bool
    images: str = ""


def version_of(name: str, alias: str) -> Version | None:
    """Return the version of a registered model that has an alias; None where none has.

    Raises:
        InputError: for an alias that MLflow does not take, or if the store does not answer.
    """
    check_alias(alias)
    quieten()
    with told_in_a_line(model=name), opened() as store:
        found = _aliased(store, _quoted(name), alias)
        if found is None:
            return None
        tags = found.tags
        return Version(
            number=str(found.version),
            bundle=tags.get(models.BUNDLE, ""),
            experiment=tags.get(models.EXPERIMENT, ""),
            kind=tags.get(models.KIND, "of other origin"),
            scored=tags.get(models.SCORED) == "true",
            images=tags.get(models.IMAGES, ""),
        )


def register(folder: Path, *, name: str, alias: str, expected: str | None) -> str:
    """Make a bundle's model, logged if it is not yet, a version of a registered model with an alias.

    Args:
        folder: the bundle.
        name: the registered model.
        alias: what the version gets.
        expected: the number of the version that the bundle was compared with, which must have the alias still; None
            where no version had it.

    Returns:
        The version's number; that of a bundle that is one already stays.

    Raises:
        InputError: for a folder that is no bundle, a name or an alias that MLflow does not take, an alias that another
            version took meanwhile, or if the store does not answer.
    """
    check_alias(alias)
    model, key = models.log_bundle(folder).model, models.content_key(folder)
    said = parse((folder / FILE).read_bytes(), folder / FILE)
    with told_in_a_line(model=name), opened() as store:
        # No version is made in vain.
        _check_unmoved(_aliased(store, _quoted(name), alias), expected, key, name, alias)
        if not _is_registered(store, _quoted(name)):
            store.client.create_registered_model(name)
        versions = store.client.search_model_versions(f"name = '{_quoted(name)}'")
        number = next((str(one.version) for one in versions if one.tags.get(models.BUNDLE) == key), None)
        if number is None:
            made = store.client.create_model_version(
                name,
                source=f"models:/{model}",
                run_id=store.client.get_logged_model(model).source_run_id,
                description=description((folder / contents.CARD).read_text(encoding="utf-8")),
                tags=models.tags_of(said) | {models.BUNDLE: key},
                model_id=model,
            )
            number = str(made.version)
        store.client.set_registered_model_alias(name, alias, number)
    return number


def check_alias(alias: str) -> None:
    """Compare an alias with MLflow's rules, which it applies only once a version is there.

    Raises:
        InputError: for one that breaks them.
    """
    if not ALIAS.fullmatch(alias):
        raise InputError(f"--alias {alias!r}: takes 1 to 255 letters, digits, - and _; name another")
    if RESERVED.fullmatch(alias):
        raise InputError(f"--alias {alias}: MLflow keeps `latest`, and v with a number, for itself; name another")


def description(card: str) -> str:
    r"""Return a card as a version's description: without its metadata, cut at a line where it is too long.

    >>> description("---\nlicense: mit\n---\n\n# Spiders\n")
    '# Spiders\n'
    """
    text = METADATA.sub("", card)
    if len(text) <= LONGEST_CARD:
        return text
    return text[: LONGEST_CARD - len(CUT)].rpartition("\n")[0] + CUT


def _is_registered(store: Store, name: str) -> bool:
    return bool(store.client.search_registered_models(f"name = '{name}'"))


def _aliased(store: Store, name: str, alias: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException

    # A server with users answers 403 for the alias of a model that is not there.
    if not _is_registered(store, name):
        return None
    try:
        return store.client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        # None of its versions has the alias.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE") and "not found" in str(error):
            return None
        raise


def _check_unmoved(found: "ModelVersion | None", expected: str | None, key: str, name: str, alias: str) -> None:
    """Compare the version that has an alias with the one that a bundle was compared with.

    Raises:
        InputError: where it is another one, unless that is of this bundle itself.
    """
    number = str(found.version) if found else None
    if number == expected or (found and found.tags.get(models.BUNDLE) == key):
        return
    what = f"version {number} took the alias {alias}" if found else f"version {expected} lost the alias {alias}"
    raise InputError(f"{name}: {what} meanwhile; run the same command again")


def _quoted(name: str) -> str:
    """Return a name within a filter's quotes.

    Raises:
        InputError: for one that ends them.
    """
    if "'" in name or "/" in name or ":" in name:
        raise InputError(f"--name {name}: must not contain ', / or :")
    return name
