"""T2I-CompBench and T2I-CompBench++ (Huang et al., arXiv 2307.06350): eight categories of 300
prompts, 10 images each.

The rules are those of the published evaluation (Karine-Huang/T2I-CompBench), including its quirks,
each of which has a name here. The user chooses the models that judge the images; their names are
part of the judge's name.
"""
