"""Which settings suit a set of images: what is tried, what is dropped, and what is advised in the end."""
