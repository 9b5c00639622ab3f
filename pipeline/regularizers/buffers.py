"""Values by dotted name inside a module, whose own names may hold no dot."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn


def key(name: str) -> str:
    """The name under which a module may hold what belongs to a dotted one.

    >>> key("layer1.2.conv3")
    'layer1/2/conv3'
    """
    return name.replace(".", "/")


class BufferDict(nn.Module):
    """Cloned values as buffers, so that `.to()` moves them and `state_dict()` holds them.

    Args:
        values: by dotted name; neither changed nor shared.
    """

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.names = tuple(values)
        for name, value in values.items():
            self.register_buffer(key(name), value.detach().clone())

    def __getitem__(self, name: str) -> Tensor:
        return self.get_buffer(key(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
