"""Causal language models of transformers that answer a message.

Any model of `AutoModelForCausalLM` will do, if its tokenizer has a chat template. No code of the
repository is run. torch is imported only when a model is loaded.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.errors import PluginError, UsageError
from hnbench.files.escaping import first_line, quoted
from hnbench.weights.files import MODEL
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.hub import Source, download, is_cached
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""Patterns of the files of a tokenizer and of the settings for generating."""
SUPPORTED = (
    "give a causal language model with a chat template, such as meta-llama/Llama-3.1-8B-Instruct"
)


@dataclass(frozen=True)
class Written:
    """The reply of a model."""

    text: str
    tokens: int
    """The tokens that it wrote, the one that ends the reply included."""


class LanguageModel:
    """The model of a folder, in bfloat16 on CUDA and in float32 on the CPU. `UsageError` if it
    cannot be loaded or has no chat template.
    """

    def __init__(self, folder: Path, device: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        from hnbench.weights.checkpoint import load_pretrained

        self.folder, self.device = folder, device
        self.tokenizer = _tokenizer(folder)
        dtype = torch.float32 if torch.device(device).type == "cpu" else torch.bfloat16
        try:
            model = load_pretrained(AutoModelForCausalLM, folder, dtype=dtype)
        except UsageError as error:
            raise UsageError(f"{error}; {SUPPORTED}") from error
        self.model = model.to(device)
        # A message must not contain these: they would be read as marks of the template.
        self._marks = [
            token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special
        ]

    def marks_in(self, text: str) -> list[str]:
        """The model's special tokens that a text contains."""
        return [mark for mark in self._marks if mark in text]

    def reply(self, message: str, *, seed: int, most_tokens: int) -> Written:
        """The reply to one message: drawn token by token, with the settings that the model comes
        with, from random numbers that `seed` alone decides.

        `PluginError` if the message has one of the model's special tokens.
        """
        import torch

        if found := self.marks_in(message):
            raise PluginError(
                f"the prompt has {quoted(found[0])}, which is a special token of {self.folder}"
            )
        inputs = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": message}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            # Templates of models that can think first know this; others leave it out.
            enable_thinking=False,
        ).to(self.device)
        before = inputs["input_ids"].shape[1]
        with torch.no_grad(), _seeded(torch.device(self.device), seed), quiet_loading():
            out = self.model.generate(
                **inputs,
                do_sample=True,
                max_new_tokens=most_tokens,
                pad_token_id=self._padding(),
            )
        new = out[0, before:].tolist()
        return Written(self.tokenizer.decode(new, skip_special_tokens=True), len(new))

    def _padding(self) -> int | None:
        tokenizer = self.tokenizer
        found: int | None = tokenizer.pad_token_id
        if found is None:
            found = tokenizer.eos_token_id
        return found


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Within the block, torch's own random numbers begin from `seed`; then they are put back."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    from hnbench.weights.checkpoint import UNREADABLE

    try:
        with quiet_loading():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except UNREADABLE as error:
        raise UsageError(
            f"{folder} has no tokenizer that can be loaded: {first_line(error)}; {SUPPORTED}"
        ) from error
    if not tokenizer.chat_template:
        raise UsageError(f"the tokenizer of {folder} has no chat template; {SUPPORTED}")
    return tokenizer


@lru_cache(maxsize=1)
def language_model(folder: Path, device: str) -> LanguageModel:
    """The model of a folder on a device, loaded once. `UsageError` as for `LanguageModel`."""
    return LanguageModel(folder, device)


def source_of_language_model(name: str) -> Source | None:
    """The files on the Hub of `owner/name[@revision]`; None for a local folder. Anything else is a
    `UsageError`.
    """
    if Path(name).expanduser().is_dir():
        return None
    try:
        return Source.parse(name, FILES, MODEL)
    except UsageError as error:
        raise UsageError(f"{name!r} is not a folder here, and {error}") from None


@lru_cache(maxsize=8)
def folder_of_language_model(name: str) -> Path:
    """The folder of a model: a local one, or that of `owner/name[@revision]`, downloaded if needed.
    `UsageError` if there is none.
    """
    source = source_of_language_model(name)
    return Path(name).expanduser() if source is None else download(source)


@lru_cache(maxsize=8)
def fingerprint_of_language_model(folder: Path) -> str:
    """A SHA-256 of the files that decide what the model writes."""
    return fingerprint_of(
        folder, (*FILES, *(name for need in MODEL for one in need for name in one))
    )


def language_model_is_cached(name: str) -> bool:
    """Whether the files of a model are on this machine."""
    source = source_of_language_model(name)
    return source is None or is_cached(source)
