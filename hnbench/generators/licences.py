"""The licences of published generators, as their own model cards on the Hub name them. A generator
whose card names none in its front matter, or that nobody looked at, is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Licence:
    """A licence in the words of the Hub's model cards."""

    identifier: str
    """The Hub's identifier; `"other"` for one that is not in its list."""
    name: str = ""
    """Its name, if it is another one."""
    link: str = ""
    """The address of its text, if it is another one."""


OWN = {"shapes": Licence("mit")}
"""Name of a generator that comes with hnbench -> licence."""
PUBLISHED: Mapping[str, Licence] = {
    "black-forest-labs/FLUX.1-schnell": Licence("apache-2.0"),
    "ByteDance/SDXL-Lightning": Licence("openrail++"),
    "stabilityai/stable-diffusion-xl-base-1.0": Licence("openrail++"),
    "tianweiy/DMD2": Licence("cc-by-nc-4.0"),
    "stabilityai/sdxl-turbo": Licence(
        "other",
        "sai-nc-community",
        "https://huggingface.co/stabilityai/sdxl-turbo/blob/main/LICENSE.md",
    ),
    "stabilityai/stable-diffusion-3.5-large-turbo": Licence(
        "other",
        "stabilityai-ai-community",
        "https://huggingface.co/stabilityai/stable-diffusion-3.5-large-turbo/blob/main/LICENSE.md",
    ),
    "Tongyi-MAI/Z-Image-Turbo": Licence("apache-2.0"),
    "black-forest-labs/FLUX.2-klein-4B": Licence("apache-2.0"),
}
"""Repository on the Hub -> licence."""


def licence_of(name: str, repository: str) -> Licence | None:
    """The licence of a generator by its repository or, without one, by its name; None if it is not
    known.
    """
    return PUBLISHED.get(repository) if repository else OWN.get(name)
