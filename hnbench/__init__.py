"""How much of test-time noise optimisation can a text-to-image model have for (almost) nothing?

`hnbench` trains Noise Hypernetworks, runs them against the methods they replace on the same
prompts and the same starting noise, and reports what was gained, what it cost and how sure we are.
Importing this package is cheap: nothing here imports torch.
"""

__version__ = "0.1.0"
