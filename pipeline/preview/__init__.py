"""The experiment of params.yaml before it runs: its settings, images, weights and frozen features."""
