"""The sizes of downloads, as far as the checks' references know them; nothing is asked over the
network.
"""

from __future__ import annotations

from hnbench.verification.reference import all_references


def known_size(component: str, dtype: str = "float32") -> int | None:
    """About how many bytes a generator, reward or suite downloads on first use, by the name that a
    user types; 0 if it comes with hnbench, None if no check says so.

    A check that computes in `dtype` counts first. A check also needs pictures, so the smallest
    number counts.
    """
    found = [
        one
        for one in all_references()
        if component in (one.component, *one.covers) and one.kind != "hypernetwork"
    ]
    same = [one for one in found if one.dtype == dtype] or found
    return min((one.download for one in same), default=None)
