"""Names of the files that a model of transformers is saved in. Nothing heavy is imported here."""

from __future__ import annotations

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The preferred one first. Each is one file, or shards with an index next to them."""
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
"""What some published repositories have in place of safetensors. Read as weights alone."""
MODEL = (("config.json",),), (SAFETENSORS, PICKLED)
"""What a model needs (`hnbench.weights.hub.Source.needs`): its configuration, and its weights in
the first of these forms that exists.
"""
