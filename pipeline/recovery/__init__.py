"""What a kill leaves in a clone, and its repair."""
