"""Does this installation, on this machine, give the published numbers? What `hnbench verify`
runs.
"""
