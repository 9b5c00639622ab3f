"""How much the loss rises without each filter of a convolution."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.feature_hooks import named
from pipeline.regularizers.precision import upcast_float32

# Scores (n, K) and labels (n,) to one value a sample, (n,).
Loss = Callable[[Tensor, Tensor], Tensor]
# How many images are done, of how many.
Progress = Callable[[int, int], object]


@torch.no_grad()
def filter_importance(
    network: nn.Module,
    hooked_layers: Sequence[str],
    batches: Sequence[tuple[Tensor, Tensor]],
    loss: Loss,
    *,
    filters_at_once: int = 128,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """The mean over the images of: loss with the weights of one filter at zero, less the loss as it is.

    Without its weights a filter gives its bias everywhere, zero where it has none, and leaves the other filters as
    they are. So no weight is touched: a hook on the convolution takes one image's output (1, C, H, W), repeats it for
    k filters and puts that constant into one channel of each copy. What comes before runs for one image, what comes
    behind for k; where a shortcut joins them, (1, C, H, W) is spread over (k, C, H, W).

    M images and C_l filters at tap l cost C_l M passes of what is behind tap l, and C_l M / k of what is before it,
    one image at a time: at the four taps of a ResNet-101 and k = 128 a fifth of the multiplications that zeroing
    3,840 filters in turn takes, or 750 forward passes an image. Memory grows with k: k copies of one image's maps.

    Args:
        network: run in eval mode; modes, values and buffers are afterwards as they were, also after an exception.
        hooked_layers: names of its convolutions; what is behind may add shortcuts but not concatenate them.
        batches: images (N, 3, S, S) and labels (N,), where the network is.
        loss: one value a sample, as cross entropy with `reduction="none"`.
        filters_at_once: k.
        progress: called behind every image.

    Returns:
        By tap, (C,); negative for a filter without which the loss is lower.

    Raises:
        InputError: for a name that the network has not, one that is no convolution, no images, and k under 1.

    Source:
        DELTA, its published code: four training batches, on a network whose head alone was trained. Departure: the
        mean is over images, not over batches of perhaps different size.
    """
    if filters_at_once < 1:
        raise InputError(f"regularizer 'delta': filters_at_once {filters_at_once} is under 1; give 1 or more")
    convolutions = {layer: convolution(network, layer) for layer in hooked_layers}
    total = sum(len(images) for images, _ in batches)
    if total == 0:
        raise InputError("regularizer 'delta': no images to see the rise of the loss on; give at least one batch")
    found = {layer: torch.zeros_like(upcast_float32(c.weight[:, 0, 0, 0])) for layer, c in convolutions.items()}
    with _in_eval_mode(network):
        for done, (image, label, before) in enumerate(_one_by_one(network, batches, loss), start=1):
            for layer, tapped in convolutions.items():
                found[layer] += upcast_float32(
                    _without_each(network, tapped, image, label, loss, filters_at_once) - before
                )
            if progress:
                progress(done, total)
    return {layer: values / total for layer, values in found.items()}


def convolution(network: nn.Module, layer: str) -> nn.Conv2d:
    """The convolution of this name.

    Raises:
        InputError: for a name that the network has not, and for another kind of module.
    """
    module = named(network, layer)
    if not isinstance(module, nn.Conv2d):
        raise InputError(
            f"regularizer 'delta': {layer} is no convolution but {type(module).__name__}; "
            "use another method for this network"
        )
    return module


def _one_by_one(
    network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], loss: Loss
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each image (1, 3, S, S) and label (1,) with its loss as it is, a scalar."""
    for images, labels in batches:
        losses = loss(network(images), labels)
        if losses.shape != (len(images),):
            raise ValueError(f"the loss gave {tuple(losses.shape)} for {len(images)} samples, not one value each")
        yield from zip(images.split(1), labels.split(1), losses, strict=True)


def _without_each(
    network: nn.Module, convolution: nn.Conv2d, image: Tensor, label: Tensor, loss: Loss, filters_at_once: int
) -> Tensor:
    """One image's loss without each filter, (C,)."""
    losses = []
    for filters in torch.arange(convolution.out_channels, device=image.device).split(filters_at_once):
        with _without(convolution, filters):
            scores = network(image)
        losses.append(loss(scores, label.expand(len(filters))))
    return torch.cat(losses)


@contextmanager
def _without(convolution: nn.Conv2d, filters: Tensor) -> Iterator[None]:
    """Make one image's output one copy for each filter, that filter's channel constant in it."""
    copies = torch.arange(len(filters), device=filters.device)

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        repeated = output.repeat(len(filters), 1, 1, 1)
        bias = convolution.bias
        repeated[copies, filters] = 0 if bias is None else bias[filters, None, None].to(output.dtype)
        return repeated

    handle = convolution.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _in_eval_mode(network: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
