"""Frozen, distilled text-to-image models behind one contract, one adapter class per family."""
