"""The LoRA network that predicts the change of the noise: adapter, objective, training,
checkpoints, diagnostics.
"""
