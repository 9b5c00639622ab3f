"""Signs that tables and sentences share."""

# Keeps a number and its unit on one line.
NO_BREAK = "\u00a0"
# In place of a value that there is none of.
DASH = "–"
