"""Buffers of a module by dotted name, which torch does not allow as a buffer's own name."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn


def key(name: str) -> str:
    """Return the dotted name as one that a buffer or submodule may have.

    >>> key("layer1.2.conv3")
    'layer1/2/conv3'
    """
    return name.replace(".", "/")


class BufferDict(nn.Module):
    """Mapping of names to cloned tensors, held as buffers: `.to()` moves them and `state_dict()` contains them.

    Args:
        values: by dotted name; cloned, so that later changes to them have no effect.
    """

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.names = tuple(values)
        for name, value in values.items():
            # Cloned, since training changes the network's tensors in place.
            self.register_buffer(key(name), value.detach().clone())

    def __getitem__(self, name: str) -> Tensor:
        return self.get_buffer(key(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
