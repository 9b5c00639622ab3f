"""Executors: where the cells of a study run."""
