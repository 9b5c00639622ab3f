"""Other processes on this machine; `predict` asks this too, which has to do without psutil."""

import os


def is_alive(number: int) -> bool:
    """Return whether there is a process of this number, of whichever user.

    >>> is_alive(os.getpid()), is_alive(2**100)
    (True, False)
    """
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # Another user's.
        return True
    return True
