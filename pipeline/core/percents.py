"""Shares in percent: only what is all of them reads as 100, and only what is none as 0."""


def number(share: float, digits: int = 1) -> str:
    """Return a share, 0..1, in percent without its unit.

    >>> [number(share) for share in (0.951, 0.9996, 1.0, 0.0004, 0.0)]
    ['95.1', '> 99.9', '100.0', '< 0.1', '0.0']
    """
    text, least = f"{100 * share:.{digits}f}", 10**-digits
    if share < 1 and float(text) >= 100:
        return f"> {100 - least:.{digits}f}"
    if share > 0 and float(text) == 0:
        return f"< {least:.{digits}f}"
    return text


def percent(share: float, digits: int = 1) -> str:
    """Return the same with its unit.

    >>> percent(0.875)
    '87.5 %'
    """
    return f"{number(share, digits)} %"
