"""What a kill leaves in a clone, and the way back from it."""
