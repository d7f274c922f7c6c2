"""The embedded world: coloured shapes, their captions, a classical detector, and small models
trained on them.
"""
