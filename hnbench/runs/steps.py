"""The steps of a run: those that a method searches with, and those of the image that is saved.

Without `render_steps` they are the same. With it, a method that uses the reward finds its noise
with `steps`, and the noise is then rendered with `render_steps`: an image for each of its labels. A
method that uses no reward has nothing to search for, so it makes its only image with
`render_steps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hnbench.methods.base import Method, Passes


@dataclass(frozen=True)
class Steps:
    """The generator's steps in a run."""

    search: int
    """Those that an image of a search takes."""
    render: int | None = None
    """Those that a saved image takes; None: `search`."""

    def of_image(self) -> int:
        """The steps of a saved image."""
        return self.search if self.render is None else self.render

    def are_apart_for(self, method: Method) -> bool:
        """Whether a method's images are rendered after its search, because it searched with other
        steps. One that does not announce its passes may use the reward.
        """
        if self.render is None or self.render == self.search:
            return False
        passes = method.passes(self.search)
        return passes is None or passes.reward_forward > 0

    def of_proposals(self, method: Method) -> int:
        """The steps that an image in `Method.propose` takes."""
        return self.search if self.are_apart_for(method) else self.of_image()

    def passes(self, method: Method) -> Passes | None:
        """The passes of a method for one task, over all labels, with those that render; None if it
        does not announce its own.
        """
        own = method.passes(self.of_proposals(method))
        if own is None or not self.are_apart_for(method):
            return own
        rendered = len(method.labels) * self.of_image()
        return replace(own, generator_forward=own.generator_forward + rendered)
