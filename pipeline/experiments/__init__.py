"""Experiments in git and DVC's cache: found, read, cloned, compared and sent to MLflow."""
