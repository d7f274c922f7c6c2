"""The page and the curves of a training, from its folder alone."""
