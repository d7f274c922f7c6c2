"""Names of the files of a model of transformers. Nothing heavy is imported here."""

from __future__ import annotations

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights, the preferred one first. Each is one file, or shards with an index next to
them.
"""
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
"""The files of some published repositories without safetensors. Only weights are read from them."""
MODEL = (("config.json",),), (SAFETENSORS, PICKLED)
"""The files that a model needs (`hnbench.weights.hub.Source.needs`): its configuration, and its
weights in the first of these forms that exists.
"""
