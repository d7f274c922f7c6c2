"""The images of a suite in a folder, and everything that is wrong with the folder.

A score is a mean, and a mean does not show what it leaves out. So everything that is missing,
unknown or unreadable is listed here, by kind, before any image is judged.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError
from hnbench.files.hashing import sha256_of
from hnbench.files.reading import content_of
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL import Image

    from hnbench.suites.base import Prompt, Suite

WITHOUT_IMAGES = "prompts without images"
OTHER_NUMBER = "prompts with another number of images"
UNKNOWN = "unknown files or folders"
NOT_ASKED_FOR = "prompts that the suite's protocol does not have"
TWICE = "prompts in two folders"
UNREADABLE = "images that cannot be read"
NOT_DONE = "samples of the run that are not done"
SHOWN = 3
"""The number of examples shown of each kind of problem."""


class StageProgress(Protocol):
    """The receiver of progress in the work on a folder. Counts are in images."""

    def label(self, name: str, total: int) -> None:
        """A stage of `total` images begins."""

    def advance(self, count: int) -> None:
        """`count` more images are done."""


@dataclass(frozen=True)
class FoundImage:
    """One image in a folder, and the prompt that it was made for."""

    folder: Path
    name: str
    """Its path in the folder, with slashes."""
    prompt: Prompt
    sample: int
    """Its number among the prompt's images."""
    label: str = ""
    """The method's label in a run folder; empty elsewhere."""
    sha256: str = ""
    """The file's SHA-256 as recorded by a run, or as found by reading it; empty before."""
    number: int = 0
    """Its number among all images of its category, as in T2I-CompBench's layout; 0 in GenEval's,
    which has no such number.
    """

    def read(self) -> bytes:
        """The file's content. A file that cannot be read, or has another SHA-256 than before, is a
        `UsageError`.
        """
        try:
            content = content_of(self.folder / self.name)
        except MalformedError as error:
            raise UsageError(f"{self.folder / self.name} cannot be read: {error}") from error
        if self.sha256 and sha256_of(content) != self.sha256:
            raise UsageError(f"{self.folder / self.name} was changed: its SHA-256 is another one")
        return content


@dataclass(frozen=True)
class Inventory:
    """The images of a folder that belong to a suite, in a fixed order, and what is wrong with the
    folder.
    """

    folder: Path
    layout: str
    suite: Suite
    images: tuple[FoundImage, ...]
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind of problem -> where it was found."""

    @property
    def complete(self) -> bool:
        """Whether the folder holds exactly the images of the protocol."""
        return not self.problems

    def usable(self, progress: StageProgress, *, partial: bool) -> Inventory:
        """The same inventory after reading and decoding every image once, so that its SHA-256 is
        known. Images that cannot be decoded become a problem.

        Any problem is a `UsageError` that describes it; with `partial`, only a folder without any
        image is one.
        """
        _require_usable(self, partial=partial)
        progress.label("reading", len(self.images))
        readable, broken = [], []
        for image in self.images:
            try:
                content = image.read()
                decode_png(content)
            except (UsageError, *_UNDECODABLE):
                broken.append(image.name)
            else:
                readable.append(replace(image, sha256=sha256_of(content)))
            progress.advance(1)
        problems = {**self.problems, UNREADABLE: tuple(broken)} if broken else self.problems
        found = replace(self, images=tuple(readable), problems=problems)
        _require_usable(found, partial=partial)
        return found

    def described(self) -> str:
        """The problems in words: the number of each kind, and the first few."""
        return "; ".join(
            f"{len(found)} {kind} ({_some(found)})" for kind, found in self.problems.items()
        )


_UNDECODABLE = (OSError, SyntaxError, ValueError)
"""The errors that Pillow raises for a damaged file."""


def decode_png(content: bytes) -> Image.Image:
    """The RGB image of a PNG file; a damaged file, or one that is not a PNG, raises one of
    Pillow's errors (OSError, SyntaxError, ValueError).
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            return rgb(image)
    except Image.DecompressionBombError as error:  # no OSError, unlike Pillow's other errors
        raise ValueError(str(error)) from error


def _require_usable(found: Inventory, *, partial: bool) -> None:
    if not found.complete and not partial:
        raise UsageError(
            f"{found.folder} does not match {found.suite.name}: {found.described()}. Fix the"
            " folder, or pass `partial` to use what is there"
        )
    if not found.images:
        raise UsageError(f"{found.folder} has no image of {found.suite.name}: {found.described()}")


class Findings:
    """Images and problems, collected while a folder is read."""

    def __init__(self) -> None:
        self.images: list[FoundImage] = []
        self._problems: defaultdict[str, list[str]] = defaultdict(list)

    def problem(self, kind: str, where: str) -> None:
        """Note one problem."""
        self._problems[kind].append(where)

    def compare(self, expected: Sequence[tuple[Prompt, int]]) -> None:
        """Note the prompts without images, or with another number of images than expected."""
        counts = Counter(image.prompt.id for image in self.images)
        for prompt, number in expected:
            if not counts[prompt.id]:
                self.problem(WITHOUT_IMAGES, f"{prompt.id} {_short(prompt.text)}")
            elif counts[prompt.id] != number:
                self.problem(OTHER_NUMBER, f"{prompt.id} has {counts[prompt.id]} of {number}")

    def inventory(self, folder: Path, layout: str, suite: Suite) -> Inventory:
        """The inventory of everything that was collected."""
        return Inventory(
            folder,
            layout,
            suite,
            tuple(self.images),
            {kind: tuple(found) for kind, found in self._problems.items()},
        )


def expected_of(suite: Suite, *, full: bool) -> list[tuple[Prompt, int]]:
    """The prompts of the full or the quick protocol, with the number of images of each."""
    return [
        (prompt, suite.samples(prompt, full=full))
        for prompt in (suite.prompts() if full else suite.subset())
    ]


def _some(found: Sequence[str]) -> str:
    return ", ".join([*found[:SHOWN], *(["..."] if len(found) > SHOWN else [])])


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
