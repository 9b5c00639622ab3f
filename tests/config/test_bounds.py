"""Every number of params.yaml has bounds that no training comes near, and the line that refuses more names them."""

import os
from collections.abc import Iterator
from typing import Any, get_args

import annotated_types
import pytest
import tiny
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from refusals import Refused, refusal, table

from pipeline import config
from pipeline.config import schema
from pipeline.core import paths, seeding
from pipeline.core.errors import InputError
from pipeline.stages import validate

MOST = "should be less than or equal to"
ROWS = ("recipes.animals.train.phases", "options.schedule.step.at")


def changed(key: str, value: Any) -> dict[str, Any]:
    recipe = "animals" if key == ROWS[0] or key.startswith("budget") else "quick"
    values = tiny.recipe(recipe)
    *above, last = key.split(".")
    place = values
    for part in above:
        place = place[part]
    place[last] = value
    return values


PHASE = {"freeze": 1, "amount": 1, "lr": 0.1}


@table(
    ("threads", 1025, f"threads: 1025: {MOST} 1024"),
    ("batch_size", 100_000, f"batch_size: 100000: {MOST} 65536"),
    ("recipes.quick.train.batch_size", 10**12, f"{MOST} 65536"),
    ("repeats", list(range(1001)), "has 1,001 entries; at most 1,000 are possible"),
    ("image_size", 4096, f"image_size: 4096: {MOST} 1024"),
    ("defaults.data.crop_size", 1025, f"crop_size: 1025: {MOST} 1024"),
    ("defaults.data.input_size", 1025, f"input_size: 1025: {MOST} 1024"),
    ("defaults.data.crop_padding", 513, f"crop_padding: 513: {MOST} 512"),
    ("recipes.quick.train.budget.amount", 100_001, "100001 epochs; at most 100000 are possible, or give iterations"),
    ("budget", 10_000_001, f"budget: 10000001: {MOST} 10000000"),
    ("budget", 100_001, "100001 epochs; at most 100000 are possible, or give iterations"),
    (ROWS[0], [PHASE] * 101, "has 101 entries; at most 100 are possible"),
    (ROWS[0], [PHASE | {"amount": 10**8}], f"phases.0.amount: 100000000: {MOST} 10000000"),
    (ROWS[0], [PHASE | {"lr": 1e6}], f"phases.0.lr: 1000000.0: {MOST} 1000"),
    (ROWS[1], [0.5] * 101, "has 101 entries; at most 100 are possible"),
    ("lr", 1001, f"lr: 1001: {MOST} 1000"),
    ("defaults.train.weight_decay", 1e7, f"weight_decay: 10000000.0: {MOST} 1000000"),
    ("defaults.train.lr_factors.head", 1e7, f"head: 10000000.0: {MOST} 1000000"),
    ("defaults.train.feature_cache_mb", 2**21, f"feature_cache_mb: 2097152: {MOST} 1048576"),
    ("defaults.data.split.per_class", {"train": 10**7, "test": 1, "val": 0}, f"train: 10000000: {MOST} 1000000"),
    ("options.data.synthetic.images_per_class", 10**6, f"images_per_class: 1000000: {MOST} 10000"),
    ("options.data.synthetic.size", 1024, f"size: 1024: {MOST} 512"),
    ("options.attention.se.reduction", 5000, f"reduction: 5000: {MOST} 4096"),
    ("options.attention.sa.kernel_size", 33, f"kernel_size: 33: {MOST} 31"),
    ("options.optimizer.sgd.momentum", 1.0, "momentum: 1.0: should be less than 1"),
    ("options.augmentation.animals.crop_ratio", 1e3, f"crop_ratio: 1000.0: {MOST} 100"),
    ("options.augmentation.csca.rotation", 400, f"rotation: 400: {MOST} 180"),
    ("options.schedule.step.factor", 1e9, f"factor: 1000000000.0: {MOST} 1000000"),
    ("options.regularizer.delta.batches", 10**6, f"batches: 1000000: {MOST} 100000"),
    ("options.regularizer.delta.filters_at_once", 10**6, f"filters_at_once: 1000000: {MOST} 65536"),
    ("options.regularizer.l2_sp.alpha", {"default": 1e9}, f"alpha.default: 1000000000.0: {MOST} 1000000"),
    ("options.regularizer.l2_sp.beta", 1e9, f"beta: 1000000000.0: {MOST} 1000000"),
    ("device", f"cuda:{'1' * 400}", "(405 characters): is not one of auto, cuda"),
)
def test_more_than_a_setting_may_be_is_refused_with_its_bound(
    case: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    values = changed(case.name, case.given)
    line = refusal(lambda: config.resolve(config.check(values)), capsys)
    assert line.startswith("params.yaml: ")
    assert case.line in line


def numbers(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yield each number, and each list, of a section and those within, with what bounds it."""
    for name, field in model.model_fields.items():
        yield from bounded(field, f"{place}.{name}".removeprefix("."))


def bounded(field: FieldInfo, place: str) -> Iterator[tuple[str, list[Any]]]:
    stack: list[tuple[Any, list[Any]]] = [(field.annotation, list(field.metadata))]
    while stack:
        kind, bounds = stack.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from numbers(kind, place)
        elif kind in (int, float):
            yield place, bounds
        elif hasattr(kind, "__metadata__"):
            inner = [
                one for mark in kind.__metadata__ for one in (mark.metadata if isinstance(mark, FieldInfo) else [mark])
            ]
            stack.append((kind.__origin__, bounds + inner))
        elif getattr(kind, "__origin__", None) is tuple:
            yield f"{place}[]", bounds
            stack.extend((one, []) for one in get_args(kind) if one is not ...)
        else:
            stack.extend((one, bounds) for one in get_args(kind))


def test_no_number_and_no_list_is_without_a_largest_value() -> None:
    found = [*numbers(schema.File), *numbers(schema.WholeRecipe)]
    largest = (annotated_types.Le, annotated_types.Lt, annotated_types.MaxLen)
    assert len(found) > 80
    assert {place for place, bounds in found if not any(isinstance(one, largest) for one in bounds)} == set()


@pytest.mark.parametrize("threads", [seeding.cores() + 1, 1024])
def test_more_threads_than_cores_are_refused_but_where_a_run_is_made_again(
    threads: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(seeding.MORE_THREADS, raising=False)
    tiny.put(tiny.recipe("quick", threads=threads))
    with pytest.raises(InputError, match=rf"^threads: {threads}: there are {seeding.cores()} cores available; give at"):
        validate.main()
    assert not paths.RECIPE.exists()
    monkeypatch.setenv(seeding.MORE_THREADS, "yes")
    validate.main()
    assert paths.RECIPE.exists()


def test_as_many_threads_as_cores_are_taken(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2}, raising=False)
    tiny.put(tiny.recipe("quick", threads=3))
    validate.main()
    assert paths.RECIPE.exists()
