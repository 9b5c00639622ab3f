"""Backbones from timm: any model whose modules hand on one tensor, and those of the ViT and EVA kinds.

Imported only where such a backbone is chosen. Nothing is listed: timm says where a model's stages end (`feature_info`),
which name its classifier has and how its weights were trained (`pretrained_cfg`), and the order of its modules is
watched (`timm_chain`). Stem and blocks follow the resolution, as in the table's networks; where that is the same
throughout, the blocks are divided into four by depth.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from pipeline.core import compiler
from pipeline.core.errors import InputError
from pipeline.core.interpolation import INTERPOLATIONS
from pipeline.networks import low_rank
from pipeline.networks.backbones.structure import Backbone, Step, Values
from pipeline.networks.backbones.table import BackboneRow
from pipeline.networks.backbones.timm_chain import Call, every, follows, is_chain, units, watched
from pipeline.networks.backbones.timm_groups import Groups, grouped, marked, others
from pipeline.networks.backbones.timm_names import build, configuration, sized
from pipeline.networks.network import Network

# timm's names of licenses that are not SPDX's in upper case.
LICENSES = {"apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause"}
SPDX = ("MIT", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC0-1.0")


@functools.cache
def row(name: str, *, key: str = "backbone") -> BackboneRow:
    """Return the row of a model.

    Args:
        name: "timm/" and timm's name, with or without the tag of its weights.
        key: the setting, for messages.

    Raises:
        InputError: for a name that timm does not know, with near ones, and a model that cannot be divided into groups.
    """
    known = configuration(name, key=key)
    if known.input_size[0] != 3:
        raise InputError(f"{key}: {name!r} takes images of {known.input_size[0]} channels, not 3; take another")
    if known.interpolation not in INTERPOLATIONS:
        raise InputError(
            f"{key}: {name!r} takes images resized by {known.interpolation!r}, which is not one of "
            f"{', '.join(INTERPOLATIONS)}; take another"
        )
    try:
        own = definition(name)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    return BackboneRow(
        title=str(known.architecture),
        description=f"timm's, in groups by {'depth' if own.by_depth else 'resolution'}",
        definition="",
        imagenet=False,
        multiple_of=own.patch,
        mean=tuple(known.mean),
        std=tuple(known.std),
        interpolation=known.interpolation,
        side=known.input_size[-1],
        hub=known.hf_hub_id or "",
        hub_file=known.hf_hub_filename or "",
        license=_spdx(known.license or ""),
        attends=own.attends,
    )


def _spdx(name: str) -> str:
    return LICENSES.get(name) or (name.upper() if name.upper() in SPDX else name)


class Definition(NamedTuple):
    """A model as a backbone.

    Attributes:
        backbone: its definition.
        patch: the number of which an image's side must be a multiple.
        by_depth: how its groups were made, as in `Groups`.
        attends: whether they hold attention's linear layers.
    """

    backbone: Backbone
    patch: int
    by_depth: bool
    attends: bool


@functools.cache
def definition(name: str) -> Definition:
    """Return the definition of a model, watched at its own size without values.

    Raises:
        InputError: for one that cannot be divided into groups.
    """
    known = configuration(name)
    plain = sized(name, known.input_size[-1]).eval()
    classifier = known.classifier
    if not isinstance(classifier, str):
        raise InputError(f"{name!r} has no classifier, or several; choose a model with one")
    with compiler.meta_device():
        whole = watched(plain, cast(Any, plain).forward_features, torch.empty(1, *known.input_size))
        stem, calls = _order(name, plain, whole)
        groups = grouped(name, plain, calls, has_stem=bool(stem))
        _check_head(name, plain, classifier, whole)
    steps = _steps(plain, stem, calls, groups, classifier, nhwc=_is_nhwc(plain, calls[-1]))
    return Definition(
        Backbone(
            build=functools.partial(build, name),
            steps=steps,
            classifier=classifier,
            hooked_layers=groups.ends,
            fit=functools.partial(_fit, name, classifier),
            own_pool=True,
            channels_last=_is_nhwc(plain, calls[-1]),
        ),
        patch=_patch(plain),
        by_depth=groups.by_depth,
        attends=bool(low_rank.sites(Network(plain, steps))),
    )


def _check_head(name: str, plain: nn.Module, classifier: str, whole: Call) -> None:
    """Refuse a model whose head is not a pooling to (N, C), then its classifier, and no other layer with values."""
    head: Any = plain.forward_head
    last = whole.gave.tensor if whole.gave else torch.empty(0)
    features = watched(plain, functools.partial(head, pre_logits=True), last)
    pooled = {call.name for call in every(features)}
    behind = [call for call in every(watched(plain, head, last)) if call.name not in pooled]
    own = {name for name, _ in plain.named_parameters() if name.startswith(f"{classifier}.")}
    held = {f"{call.name}.{name}" for call in behind for name, _ in call.module.named_parameters(recurse=False)}
    if len(features.shape) != 1 or held != own:
        raise InputError(
            f"{name!r} has several layers behind its pooling, of which the new classifier replaces one; choose another"
        )


def _order(name: str, plain: nn.Module, whole: Call) -> tuple[Callable[[nn.Module, Tensor], Tensor] | None, list[Call]]:
    """Return how the stem runs, None for modules as any other, and the calls that follow each other behind it."""
    if is_chain(whole):
        return None, list(units(whole.calls))
    kind = cast(Any, type(plain)).forward_features
    if kind is VisionTransformer.forward_features or kind is Eva.forward_features:
        blocks = next(number for number, call in enumerate(whole.calls) if call.name.startswith("blocks"))
        calls = whole.calls[blocks:]
        if kind is Eva.forward_features:
            return _eva_stem, calls
        if follows(calls, calls[0].given) and calls[-1].gave == whole.gave:
            return _vit_stem, list(units(calls))
    raise InputError(
        f"{name!r} cannot be divided into groups of blocks to freeze: its modules do not run one after another, as in "
        "most of timm's convolutional networks, ViT, EVA and Swin; choose one of these"
    )


def _vit_stem(model: nn.Module, x: Tensor) -> Tensor:
    vit = cast(VisionTransformer, model)
    return cast(Tensor, vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(x)))))


def _eva_stem(model: nn.Module, x: Tensor) -> Tensor:
    eva = cast(Eva, model)
    return cast(Tensor, eva.norm_pre(eva._pos_embed(eva.patch_embed(x))[0]))


def _eva_block(name: str, model: nn.Module, x: Tensor) -> Tensor:
    """Run one block with the rotary embedding of positions, which each block takes anew."""
    rope: Any = model.rope
    if rope is not None:
        fixed = getattr(rope, "feat_shape", None) is not None
        rope = rope.get_embed() if fixed else rope.get_embed(shape=cast(Any, model.patch_embed).grid_size)
        if getattr(model, "rope_mixed", False):
            rope = rope[int(name.rpartition(".")[2])]
    return cast(Tensor, model.get_submodule(name)(x, rope=rope))


def _channels_last(name: str, first: bool, model: nn.Module, x: Tensor) -> Tensor:
    """Run a module on maps (N, H, W, C) with maps (N, C, H, W) around it; the first takes images as they are."""
    y: Tensor = model.get_submodule(name)(x if first else x.permute(0, 2, 3, 1))
    return y.permute(0, 3, 1, 2)


def _pool(nhwc: bool, model: nn.Module, x: Tensor) -> Tensor:
    return cast(Tensor, model.forward_head(x.permute(0, 2, 3, 1) if nhwc else x, pre_logits=True))  # type: ignore[operator]


def _steps(
    plain: nn.Module,
    stem: Callable[[nn.Module, Tensor], Tensor] | None,
    calls: Sequence[Call],
    groups: Groups,
    classifier: str,
    *,
    nhwc: bool,
) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number, (call, stage) in enumerate(zip(calls, groups.stages, strict=True)):
        apply: Callable[[nn.Module, Tensor], Tensor] | None = None
        if stem is _eva_stem and call.name.startswith("blocks."):
            apply = functools.partial(_eva_block, call.name)
        elif nhwc:
            apply = functools.partial(_channels_last, call.name, number == 0)
        steps.append(Step(call.name, stage, apply=apply))
    head = Step(classifier, "head")
    if stem is not None:
        before = marked(plain, ("fc_norm", "norm", "attn_pool", "pool", "head", "head_drop"), [*steps, head])
        steps.insert(0, Step("patch_embed", "stem", owns=before, apply=stem))
    pool = Step("forward_head", "pool", owns=others(plain, [*steps, head]), apply=functools.partial(_pool, nhwc))
    return (*steps, pool, head)


def _is_nhwc(plain: nn.Module, last: Call) -> bool:
    return len(last.shape) == 3 and bool(last.shape[-1] == plain.num_features != last.shape[0])


def _patch(plain: nn.Module) -> int:
    patch = getattr(getattr(plain, "patch_embed", None), "patch_size", 1)
    return int(max(patch) if isinstance(patch, tuple) else patch)


def _fit(name: str, classifier: str, values: Values, image_size: int) -> Values:
    """Convert a file's values with timm's own function for this kind of model: names, positions of another size."""
    plain = sized(name, image_size)
    convert = getattr(sys.modules[type(plain).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return values
    # By the classifier, which is not among the values, some of these functions tell old files from new ones.
    added = {key: value for key, value in plain.state_dict().items() if key.startswith(f"{classifier}.")}
    converted: Values = convert({**added, **values}, plain)
    return {key: value for key, value in converted.items() if not key.startswith(f"{classifier}.")}
