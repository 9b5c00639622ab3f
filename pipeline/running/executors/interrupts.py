"""Ctrl-C while jobs are cancelled: it says what is left."""


class StillEndingError(KeyboardInterrupt):
    """Ctrl-C while what was cancelled still ends; the message says what that is."""
