"""The machine's load while a training goes on, by MLflow's own monitor."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from pipeline.tracking.address import uri

NO_GPU = "mlflow: the GPU's load is not shown: `pip install nvidia-ml-py` adds it; that of CPU, memory and disk is"


@contextmanager
def system_metrics(run: str) -> Iterator[None]:
    """Log the machine's load as metrics `system/...` of a run, every ten seconds, until the block ends."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    if _has_gpu() and find_spec("pynvml") is None:
        print(NO_GPU, file=sys.stderr, flush=True)
    monitor: Any = SystemMetricsMonitor(run, tracking_uri=uri())  # type: ignore[no-untyped-call]
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def _has_gpu() -> bool:
    """Return whether this process has set up CUDA: asked of torch if it is there, since importing it takes seconds."""
    torch = sys.modules.get("torch")
    return bool(torch and torch.cuda.is_available())
