"""Training of the embedded world's small models: `python -m hnbench.shapes_training STAGE`."""
