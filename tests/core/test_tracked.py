"""A stage tracks what it reads of the resolved recipe: a setting that it reads and does not track changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from PIL import Image

from pipeline.core.recipe import Recipe
from pipeline.core.types import Section

STAGES: dict[str, Any] = yaml.safe_load((tiny.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
READERS = sorted(set(STAGES) - {"validate"})
# How many repeats there are is for MLflow to show; one more trains none of the others again. How often a checkpoint is
# written, and what MLflow is sent, changes no result.
SHOWN = {"train": {"repeats", "checkpoint_every", "mlflow"}}
# The network that evaluate depends on follows from these: the loop's settings come as one, and testing needs two.
FOLLOWED = {"evaluate": {"train", "options.optimizer", "options.schedule"}}

# Read where there is attention, as test_facts.py does.
ELSEWHERE = {"report": {"own"}}


class Options(dict[str, Any]):
    """The options of the resolved recipe, noting the families that are read."""

    seen: set[str]

    def __getitem__(self, family: str) -> Any:
        self.seen.add(f"options.{family}")
        return super().__getitem__(family)

    def get(self, family: str, default: Any = None) -> Any:
        self.seen.add(f"options.{family}")
        return super().get(family, default)


class Spy:
    """Notes what is read of every recipe that is read from its file.

    Attributes:
        seen: dotted names, of values or of whole sections.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen: set[str] = set()
        self._places: dict[int, str] = {}
        self._recipes: list[Recipe] = []
        read, plain = Recipe.read, object.__getattribute__

        def noting(section: Section, name: str) -> Any:
            value = plain(section, name)
            place = self._places.get(id(section))
            return value if place is None else self._noted(section, place, name, value)

        patch.setattr(Section, "__getattribute__", noting)
        patch.setattr(Recipe, "read", lambda: self._spied(read()))

    def _spied(self, recipe: Recipe) -> Recipe:
        self._recipes.append(recipe)
        self._places |= dict(places(recipe, ""))
        return recipe

    def _noted(self, section: Section, place: str, name: str, value: Any) -> Any:
        if name == "settings":
            self.seen |= {"data", "network", "train", "regularizer", "options"}
            return section.model_copy().settings  # type: ignore[attr-defined]  # only a recipe has them
        if name == "model_dump":
            self.seen.add(place.removesuffix("."))
        elif name == "options":
            options = Options(value)
            options.seen = self.seen
            return options
        elif name in type(section).model_fields and not isinstance(value, Section):
            self.seen.add(f"{place}{name}")
        return value


def places(section: Section, place: str) -> Iterator[tuple[int, str]]:
    """Yield each section within a section, itself included, with the beginning of its values' dotted names."""
    yield id(section), place
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from places(value, f"{place}{name}.")


def tracked_by(stage: str) -> set[str]:
    """Return the keys of the resolved recipe that a stage tracks; `copies` follows from the images alone."""
    return {key for one in STAGES[stage].get("params", []) for keys in one.values() for key in keys}


def covers(keys: set[str], name: str) -> bool:
    return any(f"{name}.".startswith(f"{key}.") for key in keys)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What each stage read, of drawn images and of the user's own."""
    from pipeline import tracking

    found: dict[str, set[str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        tiny.draw_no_charts(patch)
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        tiny.enter(tmp_path_factory.mktemp("read"), patch)
        spy = Spy(patch)
        for stages, axes in ((READERS, {}), (["collect", "copies", "split"], {"data": "folder"})):
            for number in range(8):
                file = Path(f"data/own/{number % 2}/{number}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.effect_noise((40, 40), 50 + number).convert("RGB").save(file)
            tiny.write_params(**axes)
            for stage in (name for name in STAGES if name in stages):
                spy.seen.clear()
                tiny.chain(stage, stage)
                found.setdefault(stage, set()).update(spy.seen)
    return found


@pytest.mark.parametrize("stage", READERS)
def test_a_stage_reads_of_the_resolved_recipe_only_what_it_tracks(read: dict[str, set[str]], stage: str) -> None:
    tracked = tracked_by(stage)
    allowed = tracked | SHOWN.get(stage, set()) | FOLLOWED.get(stage, set())
    assert {name for name in read[stage] if not covers(allowed, name)} == set()


@pytest.mark.parametrize("stage", READERS)
def test_a_stage_tracks_nothing_that_it_does_not_read(read: dict[str, set[str]], stage: str) -> None:
    tracked = tracked_by(stage)
    unread = {key for key in tracked if not any(covers({key}, name) for name in read[stage])}
    assert unread - ELSEWHERE.get(stage, set()) == set()


def test_what_evaluate_follows_from_besides_is_tracked_by_the_stage_that_makes_its_network() -> None:
    tracked = tracked_by("train")
    assert all(covers(tracked, name) for name in FOLLOWED["evaluate"])
    assert set(STAGES["train"]["outs"]) & set(STAGES["evaluate"]["deps"])
