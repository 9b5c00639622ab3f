"""Experiments run in clones of the project, on this machine or a cluster, and their results brought back."""
