"""Files of weights: how they are read, and put into a model."""
