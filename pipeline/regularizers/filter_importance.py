"""Filter importance: the increase of the loss when one filter of a convolution is zeroed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.feature_hooks import submodule
from pipeline.regularizers.precision import upcast_float32

# Scores (n, K) and labels (n,) -> one value per sample, (n,).
Loss = Callable[[Tensor, Tensor], Tensor]
# Called with the number of images done and their total.
Progress = Callable[[int, int], object]
# Called with functions that return the state so far, and in words how far that is.
Offer = Callable[[Callable[[], Mapping[str, Any]], Callable[[], str]], object]


@torch.no_grad()
def filter_importance(
    network: nn.Module,
    hooked_layers: Sequence[str],
    batches: Sequence[tuple[Tensor, Tensor]],
    loss: Loss,
    *,
    filters_at_once: int = 128,
    progress: Progress | None = None,
    saved: Mapping[str, Any] | None = None,
    offer: Offer = lambda _state, _where: None,
) -> dict[str, Tensor]:
    """Compute, for each filter, the loss with its weights at zero minus the loss of the whole network, image mean.

    With weights of zero, a filter's output is its bias at every position, or zero without a bias, and all other
    filters' outputs are the same. So the weights need no change: a hook on the convolution repeats one image's output
    (1, C, H, W) for k filters and writes that constant into one channel of each copy. Layers before the convolution
    run for one image, layers after it for k; a shortcut around it broadcasts (1, C, H, W) to (k, C, H, W).

    M images and C_l filters at layer l cost C_l M passes through the layers after l and C_l M / k through those before
    it, one image at a time: at the four hooked layers of a ResNet-101 and k = 128 a fifth of the multiplications of
    zeroing 3,840 filters in turn, or 750 forward passes per image. Memory: k copies of one image's maps.

    Args:
        network: run in eval mode; its modes, values and buffers are restored, also after an exception.
        hooked_layers: names of its convolutions; later layers may add shortcuts but not concatenate them.
        batches: images (N, 3, S, S) and labels (N,), on the network's device.
        loss: one value per sample, as cross entropy with `reduction="none"`.
        filters_at_once: k.
        progress: called after every image.
        saved: a state that `offer` was given, to go on from.
        offer: called after every image with a function that returns the state; may raise to stop.

    Returns:
        By layer, (C,); negative for a filter whose removal lowers the loss.

    Raises:
        InputError: for a name that the network lacks, a module that is not a convolution, no images, and k under 1.

    Source:
        DELTA, its published code: four training batches, on a network of which only the head was trained, in eval mode.
        Departure: the mean is over images, not over batches, whose sizes may differ. What `assembly.channel_weights`
        passes departs further: still images, and a network whose batch norms were in eval mode before, too.
    """
    if filters_at_once < 1:
        raise InputError(f"regularizer 'delta': filters_at_once {filters_at_once} is under 1; give 1 or more")
    convolutions = {layer: convolution(network, layer) for layer in hooked_layers}
    total = sum(len(images) for images, _ in batches)
    if total == 0:
        raise InputError("regularizer 'delta': no images to measure filter importance on; give at least one batch")
    sums = {layer: torch.zeros_like(upcast_float32(conv.weight[:, 0, 0, 0])) for layer, conv in convolutions.items()}
    if saved:
        sums = {layer: saved["sums"][layer].to(values.device) for layer, values in sums.items()}
    with _eval_mode(network):
        for done, (image, label, whole) in enumerate(_one_by_one(network, batches, loss), start=1):
            if saved and done <= saved["images"]:
                continue
            for layer, conv in convolutions.items():
                sums[layer] += upcast_float32(_ablated(network, conv, image, label, loss, filters_at_once) - whole)
            if progress:
                progress(done, total)
            offer(partial(dict, images=done, sums=sums), partial("after image {} of {}".format, done, total))
    return {layer: values / total for layer, values in sums.items()}


def convolution(network: nn.Module, layer: str) -> nn.Conv2d:
    """Return the convolution of this name.

    Raises:
        InputError: for a name that the network lacks, and for a module of another type.
    """
    module = submodule(network, layer)
    if not isinstance(module, nn.Conv2d):
        raise InputError(
            f"regularizer 'delta': {layer} is not a convolution but {type(module).__name__}; "
            "use another method for this network"
        )
    return module


def _one_by_one(
    network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], loss: Loss
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield each image (1, 3, S, S) and label (1,) with its loss in the whole network, a scalar."""
    for images, labels in batches:
        losses = loss(network(images), labels)
        if losses.shape != (len(images),):
            raise ValueError(f"the loss has shape {tuple(losses.shape)} for {len(images)} samples, not one value each")
        yield from zip(images.split(1), labels.split(1), losses, strict=True)


def _ablated(
    network: nn.Module, conv: nn.Conv2d, image: Tensor, label: Tensor, loss: Loss, filters_at_once: int
) -> Tensor:
    """Return one image's loss without each filter, (C,)."""
    losses, numbers = [], range(conv.out_channels)
    for start in numbers[::filters_at_once]:
        filters = numbers[start : start + filters_at_once]
        with _ablation(conv, filters):
            scores = network(image)  # (k, K)
        losses.append(loss(scores, label.expand(len(filters))))
    return torch.cat(losses)


@contextmanager
def _ablation(conv: nn.Conv2d, filters: range) -> Iterator[None]:
    """Repeat one image's output for each of k neighboring filters, whose channel is its bias in its copy."""

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        repeated = output.repeat(len(filters), 1, 1, 1)  # (1, C, H, W) -> (k, C, H, W)
        # A view, not an index: CUDA checks indices in deterministic mode, and waits for it.
        removed = repeated[:, filters.start : filters.stop].diagonal(dim1=0, dim2=1)  # (H, W, k)
        if conv.bias is None:
            removed.zero_()
        else:
            removed.copy_(conv.bias[filters.start : filters.stop])
        return repeated

    handle = conv.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _eval_mode(network: nn.Module) -> Iterator[None]:
    # Module by module: frozen batch norms are in eval mode within a network in train mode.
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
