"""Errors of full memory, of a GPU or of the machine, known by their words: torch is not imported for them."""

import re
import resource

SMALLER_BATCH = "-S batch_size=N, or for `orbweaver predict` --batch-size N"
OUT_OF_MEMORY = (
    "not enough memory on the GPU; `nvidia-smi` lists other programs that use it; otherwise use a smaller batch: "
    f"{SMALLER_BATCH}"
)
OUT_OF_MAIN_MEMORY = f"not enough main memory; end other programs, or use a smaller batch: {SMALLER_BATCH}"
# What CUDA, ROCm and MPS say of it in an error of any other type, in small letters; cuBLAS and cuDNN by a status,
# or by a handle that cannot be created.
NO_ROOM = ("out of memory", "_status_alloc_failed", "device_allocation_failed", "cublascreate")
# Torch's name of main memory, for which it has no type of error, and cuDNN's.
MAIN_MEMORY = ("defaultcpuallocator", "host_allocation_failed")
# Of a compiled library that the system cannot map; where it may not, as from a disk without programs, it says so too.
# The name is looked for at beginnings of words alone, so that one of 20,000 letters takes no seconds.
UNMAPPED = re.compile(
    r"(?:(?<!\S)(\S+): )?(?:failed to map segment|cannot allocate memory)(?!.*not permitted)", re.IGNORECASE
)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is that a GPU's memory is full, for which torch has several types.

    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    True
    """
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_ROOM)


def is_out_of_main_memory(error: Exception) -> bool:
    """Return whether an error is that main memory is full: Python's and NumPy's type, or torch's words.

    >>> is_out_of_main_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    True
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in MAIN_MEMORY)


def sentence(error: BaseException) -> str:
    """Return what is full and the way out; "" for any other error."""
    if isinstance(error, Exception) and is_out_of_memory(error):
        return OUT_OF_MEMORY
    if isinstance(error, Exception) and is_out_of_main_memory(error):
        return f"{OUT_OF_MAIN_MEMORY}{_limit()}"
    if isinstance(error, ImportError | OSError) and (words := UNMAPPED.search(str(error))):
        library = f" to load {words[1]}" if words[1] else ""
        return f"not enough main memory{library}; end other programs{_limit()}"
    return ""


def _limit() -> str:
    """Return the limit that the shell sets, and how to lift it; "" where there is none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return ""
    return f"; the shell's limit is {limit / 2**20:,.0f} MiB (`ulimit -v`), and `ulimit -v unlimited` lifts it"
