"""Experiments run in clones of the project, on this machine or a cluster, and what they give brought back."""
