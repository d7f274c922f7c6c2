"""How the embedded world's small models are trained: `python -m hnbench.shapes_training STAGE`."""
