"""Experiments that have run, from git and DVC's cache: found, read, compared and sent to MLflow."""
