"""The checks of `hnbench verify`: does this installation, on this machine, give the published
numbers?
"""
