"""Images per second of `orbweaver predict`, compared with decoding alone and with the network alone, and its memory.

    python benchmarks/predict.py models/bundle photographs --out benchmarks/results

The three take turns in one process: decoding alone on all cores; the network alone, on decoded images; and both as
`predict` does them. Where the network computes on the cores that decode, the two share them, and no more than
`1 / (1 / decoding + 1 / network)` images a second can be had, which is `shared`. Where it computes on another device
the slower of the two is the limit; `elsewhere` measures that on any machine, with a network that sleeps, as this
process does while a GPU computes, for as long as decoding takes, which is the hardest case; the seconds in which
workers start are in it, so that its ratio grows with the number of photographs. A ratio is that of the
same round, and the result is the median with the range.

Memory is the peak of the largest process of the whole command, on some of the photographs and on all of them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
from numpy.typing import NDArray

from pipeline.bundles import inputs
from pipeline.bundles.pixels import decode
from pipeline.core import provenance, seeding
from pipeline.datasets.decoding.parallel import mapped

# Workers import this file again, and would wait for torch: the command's do not.
if TYPE_CHECKING:
    from pipeline.bundles.bundle import Bundle, Outputs

COMMAND = "import sys; from pipeline.commands import main; main()"


class Elsewhere:
    """Stands for a bundle whose network computes on a device of its own, in a given time an image."""

    def __init__(self, loaded: "Bundle", seconds: float) -> None:
        self.description = loaded.description
        self.certainty = None
        self._seconds = seconds

    def run(self, images: NDArray[np.uint8], *, batch_size: int) -> "Outputs":
        """Return nothing of worth after the time that a batch takes."""
        from pipeline.bundles.bundle import Outputs

        time.sleep(self._seconds * batch_size)
        classes = len(self.description.classes)
        return Outputs(np.zeros((1, len(images), classes), np.float32), np.zeros((len(images), 1), np.float32))


def main() -> None:
    """Time all in turns, print the speeds, and write them with machine and versions."""
    from pipeline.bundles import bundle

    args = arguments()
    names = inputs.names(args.photographs, [])
    loaded = bundle.load(args.bundle, device=args.device)
    # Files come into the system's memory, and torch sets itself up.
    one_round(loaded, names[: 2 * loaded.description.computation.batch_size])
    rounds = [one_round(loaded, names) for _ in range(args.rounds)]
    result = {"images_per_second": spread(rounds), "peak_memory_mb": memory(args, names)}
    print(json.dumps(result, indent=2))
    machine: dict[str, Any] = {"device": provenance.processor(), "cores": seeding.cores(), "load": os.getloadavg()[1]}
    settings = {"images": len(names), "rounds": args.rounds, "device": str(loaded.device)}
    settings |= {"backbone": loaded.description.network.backbone, "size": loaded.description.preprocessing.input_size}
    machine["versions"] = provenance.versions()
    report.write(args.out / "predict.json", machine=machine, settings=settings, results=result)


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Images per second of predict, compared with its two limits.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "photographs", nargs="+", help="a folder of about 1,000; several, or one several times, for more"
    )
    parser.add_argument("--few", type=int, default=200, help="photographs of the smaller measurement of memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def one_round(loaded: "Bundle", names: list[str]) -> dict[str, float]:
    """Measure images per second of each, and the ratios to the limits."""
    images: list[NDArray[np.uint8]] = []
    size = loaded.description.computation.batch_size
    decoding = rate(names, lambda: images.extend(decoded(loaded, names)))
    network = rate(names, lambda: [loaded.run(np.stack(images[n : n + size])) for n in range(0, len(images), size)])
    both = rate(names, partial(predict, loaded, names))
    elsewhere = rate(names, partial(predict, Elsewhere(loaded, 1 / decoding), names))
    shared = 1 / (1 / decoding + 1 / network)
    return {
        "decoding": decoding,
        "network": network,
        "predict": both,
        "shared": shared,
        "elsewhere": elsewhere,
        "predict_to_slower": both / min(decoding, network),
        "predict_to_shared": both / shared,
        "elsewhere_to_slower": elsewhere / decoding,
    }


def decoded(loaded: "Bundle", names: list[str]) -> list[NDArray[np.uint8]]:
    """Decode all on all cores."""
    from pipeline.bundles import applying

    work = partial(decode, preprocessing=loaded.description.preprocessing)
    ahead = applying.BATCHES_AHEAD * loaded.description.computation.batch_size
    with mapped(work, [Path(name) for name in names], ahead=ahead) as results:
        return [one.pixels for one in results if one.pixels is not None]


def predict(loaded: Any, names: list[str]) -> None:
    """Apply the bundle as the command does, and keep nothing."""
    from pipeline.bundles import applying

    with applying.apply(loaded, names, top=3) as batches:
        for _ in batches:
            pass


def rate(names: list[str], work: Callable[[], object]) -> float:
    """Return the images per second of a call."""
    started = time.perf_counter()
    work()
    return len(names) / (time.perf_counter() - started)


def spread(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the median and the range of each over the rounds."""
    return {
        name: {
            "median": round(statistics.median(values), 3),
            "lowest": round(min(values), 3),
            "highest": round(max(values), 3),
            "n": len(values),
        }
        for name in rounds[0]
        if (values := [one[name] for one in rounds])
    }


def memory(args: argparse.Namespace, names: list[str]) -> dict[str, int]:
    """Return the peak of the command's largest process in MiB by the number of photographs, the fewer first."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (min(args.few, len(names)), len(names)):
            words = [str(args.bundle), "-", "--out", f"{folder}/out.csv", "--device", args.device]
            listed = "\n".join(names[:count]).encode("utf-8", "surrogateescape")
            subprocess.run([sys.executable, "-c", COMMAND, "predict", *words], input=listed, check=True)
            # Of all children so far, so that more shows only if it is more.
            peaks[str(count)] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return peaks


if __name__ == "__main__":
    main()
