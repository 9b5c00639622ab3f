"""The sigmoid of inference, of which no bit follows from where an element stands in its tensor."""

import torch
import torch.nn.functional as F
from torch import Tensor

# A multiple of what torch's vectors hold; and fewer elements than it divides among threads, at 32,768.
VECTORS, BLOCK = 64, 16_384


def sigmoid(z: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-z)), for an image the same bits in any batch of the same shape and at any place in it.

    torch computes elements in vectors, on the CPU, and those that are left over at the end of a thread's share one by
    one, which may differ in the last bit. So what is computed without gradients is filled up to whole vectors, in
    blocks that one thread computes. Training and exported graphs have the plain function.
    """
    if z.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return torch.sigmoid(z)
    flat = z.flatten()
    filled = F.pad(flat, (0, -len(flat) % VECTORS))
    return torch.cat([torch.sigmoid(block) for block in filled.split(BLOCK)])[: len(flat)].view(z.shape)
