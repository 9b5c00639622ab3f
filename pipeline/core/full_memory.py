"""Errors of full memory, of a GPU or of the machine, known by their words: torch is not imported for them."""

SMALLER_BATCH = "-S batch_size=N, or for `orbweaver predict` --batch-size N"
OUT_OF_MEMORY = (
    "not enough memory on the GPU; `nvidia-smi` lists other programs that use it; otherwise use a smaller batch: "
    f"{SMALLER_BATCH}"
)
OUT_OF_MAIN_MEMORY = f"not enough main memory; end other programs, or use a smaller batch: {SMALLER_BATCH}"
# What CUDA, ROCm and MPS say of it in an error of any other type, in small letters; cuBLAS and cuDNN by a status.
NO_ROOM = ("out of memory", "_status_alloc_failed")
# Torch's name of main memory, for which it has no type of error.
MAIN_MEMORY = "defaultcpuallocator"


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
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and MAIN_MEMORY in str(error).lower())
