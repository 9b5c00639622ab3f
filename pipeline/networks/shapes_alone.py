"""Forward passes of which only the shapes count, and not the values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Their output has the shape of their first argument. On the meta device torch computes each of them in Python, from
# several simpler operations, which took most of the time of a pass.
KEEP_SHAPE = frozenset(
    {F.batch_norm, F.layer_norm, F.relu, F.relu6, F.hardtanh, F.silu, F.hardswish, F.gelu, F.dropout}
)


class ShapesAlone(TorchFunctionMode):
    """Skip normalization, activations and dropout: the values are others, all shapes the same."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the first argument of what keeps the shape, and else the function's own result."""
        return args[0] if func in KEEP_SHAPE and args else func(*args, **(kwargs or {}))
