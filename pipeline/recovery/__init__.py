"""Repair of a clone after a kill."""
