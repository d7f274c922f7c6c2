"""T2I-CompBench and T2I-CompBench++ (Huang et al., arXiv 2307.06350): eight categories of 300
prompts, 10 images each.

The rules are those of the published evaluation (Karine-Huang/T2I-CompBench), its quirks included
and named; the models that look at the images are named by whoever runs it, and are part of the
judge's name.
"""
