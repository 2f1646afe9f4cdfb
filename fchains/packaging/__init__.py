"""What travels to a worker: images as text, code as bundles, functions as references."""
