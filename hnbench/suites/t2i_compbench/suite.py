"""The suite `t2i-compbench`, and its single categories such as `t2i-compbench:color`."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from hnbench.errors import UsageError
from hnbench.suites.base import Prompt, Suite
from hnbench.suites.prompt_file import evenly
from hnbench.suites.t2i_compbench.parses import PARSERS
from hnbench.suites.t2i_compbench.prompts import (
    CATEGORIES,
    COUNT,
    category_of,
    category_prompts,
    countable_objects,
    kinds_of_complex,
)
from hnbench.suites.t2i_compbench.result_files import result_files
from hnbench.suites.t2i_compbench.spatial import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.suites.base import JudgedImage
    from hnbench.suites.t2i_compbench.judge import CompBenchJudge

SAMPLES = 10
"""The number of images of each prompt under the full protocol."""
QUICK_PROMPTS, QUICK_SAMPLES = 15, 2
"""The quick protocol: 15 evenly spaced prompts of each category, 2 images each."""


class CompBenchSuite(Suite):
    """300 prompts of each category, 10 images each; quick: 15 prompts, 2 images each.

    Upstream defines no overall score; here it is the unweighted mean of the categories' scores.
    `part` names a single category, `models` are those of the judge (`ModelNames`), `rules` are
    `published` or `repaired`, and `parser` is one of `parses.PARSERS`. `UsageError` for others.
    """

    version = "1"

    def __init__(
        self, part: str | None = None, *, rules: str = "published", parser: str = "", **models: str
    ) -> None:
        self.name = f"t2i-compbench:{part}" if part else "t2i-compbench"
        self.tags = (category_of(part),) if part else CATEGORIES
        if rules not in get_args(Rules):
            raise UsageError(
                f"the rules were {rules!r}; choose one of {', '.join(get_args(Rules))}"
            )
        if parser and parser not in PARSERS:
            raise UsageError(f"the parser was {parser!r}; choose one of {', '.join(PARSERS)}")
        self._rules, self._parser, self._models = rules, parser, models

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(
            Prompt(
                f"{category}/{index:04d}", text, category, {"category": category, "prompt": text}
            )
            for category in self.tags
            for index, text in enumerate(self._texts(category))
        )

    def _texts(self, category: str) -> tuple[str, ...]:
        return category_prompts(category)

    def subset(self) -> tuple[Prompt, ...]:
        prompts = self.prompts()
        return tuple(
            prompt
            for tag in self.tags
            for prompt in evenly([one for one in prompts if one.tag == tag], QUICK_PROMPTS)
        )

    def samples(self, prompt: Prompt, *, full: bool) -> int:  # noqa: ARG002
        return SAMPLES if full else QUICK_SAMPLES

    def result_files(self, judged: Sequence[JudgedImage]) -> dict[str, bytes]:
        return result_files(judged, self.tags)

    def judge(self, *, device: str = "cpu") -> CompBenchJudge:
        """The judge; for the device "auto", on CUDA if it is available, else on the CPU."""
        import torch

        from hnbench.suites.t2i_compbench.judge import CompBenchJudge, ModelNames

        # Some categories need these files. They are read (and downloaded) now, because the judge
        # must not download anything later.
        if "numeracy" in self.tags:
            countable_objects()
        if "complex" in self.tags:
            kinds_of_complex()
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        rules: Rules = "repaired" if self._rules == "repaired" else "published"
        return CompBenchJudge(self.tags, ModelNames(**self._models), rules, device, self._parser)


class CompBenchProtocol(CompBenchSuite):
    """The protocol of T2I-CompBench: its prompts have no texts, and no file is read."""

    def _texts(self, category: str) -> tuple[str, ...]:  # noqa: ARG002
        return ("",) * COUNT
