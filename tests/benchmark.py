"""Benchmarks as modules, for tests of what they measure with."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pipeline


def load(name: str) -> ModuleType:
    """Return a benchmark by the name of its file; as a module it has another, as tests have modules of that name."""
    file = Path(pipeline.__file__).parents[1] / f"benchmarks/{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
