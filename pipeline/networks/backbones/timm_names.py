"""Models of timm by their names: what timm says of each, and the model for a size."""

import functools
from difflib import get_close_matches
from typing import Any, cast

import timm
import torch
from timm.models import PretrainedCfg, get_pretrained_cfg, is_model, list_models, list_pretrained
from torch import nn

from pipeline.core import compiler
from pipeline.core.errors import InputError
from pipeline.networks.backbones.table import SIDE, TIMM


def configuration(name: str, *, key: str = "backbone") -> PretrainedCfg:
    """Return what timm says of a model and its weights.

    Raises:
        InputError: for a name that timm does not know, with near ones.
    """
    model = name.removeprefix(TIMM)
    if is_model(model):
        try:
            return cast(PretrainedCfg, get_pretrained_cfg(model, allow_unregistered=False))
        except RuntimeError:
            pass
    near = get_close_matches(model, [*list_models(), *list_pretrained()], n=4)
    hint = f"near: {', '.join(TIMM + one for one in near)}" if near else "timm.list_models() has all names"
    raise InputError(f"{key}: {name!r} is not known to timm {timm.__version__}; {hint}")


@functools.cache
def sized(name: str, image_size: int) -> nn.Module:
    """Return a model without values, for an image size."""
    with compiler.meta_device():
        return build(name, image_size)


def build(name: str, image_size: int) -> nn.Module:
    """Return a model with random values for an image size.

    Raises:
        InputError: for a size that it does not take.
    """
    _check_size(name, image_size)
    return _created(name, image_size)


def _created(name: str, image_size: int) -> nn.Module:
    known = configuration(name)
    # Position embeddings and windows follow from the size; other models take any.
    options: dict[str, Any] = {"img_size": image_size} if known.fixed_input_size else {}
    return timm.create_model(name.removeprefix(TIMM), pretrained=False, **options)


@functools.cache
def _check_size(name: str, image_size: int) -> None:
    """Run a model of this size without values: some refuse it when they are made, others when they run."""
    try:
        with compiler.meta_device(), torch.no_grad():
            model: Any = _created(name, image_size).eval()
            model.forward_features(torch.empty(1, 3, image_size, image_size))
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise _size_refused(name, image_size, error) from None


def _size_refused(name: str, image_size: int, error: Exception) -> InputError:
    why = " ".join(str(error).split())[:120] or type(error).__name__
    own = configuration(name).input_size[-1]
    return InputError(f"{SIDE}: {name} does not take images of {image_size} ({why}); its own size is {own}")
