"""Vision-language models of transformers that answer a question about one picture: the probability
of the first token of the answer.

Any decoder of `AutoModelForImageTextToText` will do, if it has a processor with a chat template. No
code of the repository is run. torch is imported only when a model is loaded.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.seeds import digest
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import torch
    from PIL.Image import Image

SUPPORTED = (
    "give a decoder with image input and a chat template, such as Qwen/Qwen2.5-VL-7B-Instruct"
)
ANYTHING = ".*"
"""The tensors that a checkpoint may have in addition to those of the class: vision-language models
come with parts for training and for speculative decoding.
"""


class VisionLanguageModel:
    """The model of a folder, in bfloat16 on CUDA and in float32 on the CPU. `UsageError` if it
    cannot be loaded or cannot answer questions about a picture.
    """

    def __init__(self, folder: Path, device: str, files: Sequence[str]) -> None:
        """Load it. `files` are the patterns of the files that make up the model."""
        import torch

        self.folder, self.device, self._files = folder, device, files
        self.dtype = torch.float32 if device == "cpu" else torch.bfloat16
        self.processor = load_processor(folder)
        self.model = _model(folder, self.dtype).to(device)
        self._marks = special_tokens(self.processor.tokenizer)

    @cached_property
    def fingerprint(self) -> str:  # cached, because it reads all weights
        """A SHA-256 of the folder's files and the dtype of the computation."""
        return digest([str(self.dtype), fingerprint_of(self.folder, self._files)])

    def first_token(self, answer: str) -> int:
        """The id of an answer's first token, at the place of the chat template where the model
        continues. Depending on the template, the token includes a space before the answer.

        `UsageError` if the template puts something else before the answer.
        """
        question = _message("user", "?", {"type": "image"})
        asked = self.processor.apply_chat_template([question], add_generation_prompt=True)
        answered = self.processor.apply_chat_template([question, _message("assistant", answer)])
        before, after = (
            self.processor.tokenizer(text, add_special_tokens=False).input_ids
            for text in (asked, answered)
        )
        if after[: len(before)] != before or len(after) == len(before):
            raise UsageError(
                f"the chat template of {self.folder} does not go on with the answer (models that"
                f" think first do not); {SUPPORTED}"
            )
        token: int = after[len(before)]
        return token

    def asked(self, picture: Image, question: str) -> Any:
        """The model's inputs by name, on the CPU: ids of tokens, and pixels. `UsageError` if the
        question has one of the model's special tokens.
        """
        refuse_special(f"the question {question!r}", question, self._marks)
        return self.processor.apply_chat_template(
            [_message("user", question, {"type": "image", "image": picture})],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )

    def first_tokens(self, texts: Iterable[str]) -> frozenset[int]:
        """The ids of the tokens that the texts begin with by themselves; several texts may begin
        with the same one.
        """
        tokenizer = self.processor.tokenizer
        return frozenset(tokenizer(text, add_special_tokens=False).input_ids[0] for text in texts)

    def probability(self, picture: Image, question: str, *tokens: int) -> float:
        """The probability that one of the `tokens` is the answer's first; see `probabilities`."""
        return self.probabilities(picture, question, tokens)[0]

    def probabilities(
        self, picture: Image, question: str, *tokens: Sequence[int]
    ) -> tuple[float, ...]:
        """The probability, by a softmax over the whole vocabulary, that one of the `tokens`, which
        differ, is the answer's first; one for each sequence of them, from one pass of the model.
        `picture` is RGB; `question` is used as it is.

        `UsageError` if the question has one of the model's special tokens.
        """
        import torch

        # One picture at a time: in bfloat16, an answer would depend on its neighbours in a padded
        # batch.
        inputs = self.asked(picture, question)
        with torch.no_grad():
            logits = self.model(**inputs.to(self.device, self.dtype)).logits[0, -1]
        chances = logits.double().softmax(-1)
        return tuple(float(chances[list(each)].sum()) for each in tokens)


def special_tokens(tokenizer: Any) -> list[str]:
    """The texts that a tokenizer reads as marks of the template, not as text."""
    return [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]


def refuse_special(what: str, text: str, marks: Sequence[str]) -> None:
    """Raise a `UsageError`, which begins with `what`, if the text has one of the marks."""
    if found := [mark for mark in marks if mark in text]:
        raise UsageError(
            f"{what} has {found[0]!r}, which is a special token of this model; leave that prompt"
            " out"
        )


def _message(role: str, text: str, *images: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": [*images, {"type": "text", "text": text}]}


def load_processor(folder: Path) -> Any:
    """The processor of images and text in a folder. `UsageError` if it cannot be loaded, or has no
    chat template.
    """
    from transformers import AutoProcessor

    try:
        with quiet_loading():
            processor = AutoProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(
            f"{folder} has no processor that can be loaded: {first_line(error)}; {SUPPORTED}"
        ) from error
    if getattr(processor, "image_processor", None) is None:
        raise UsageError(f"{folder} has no processor of images and text; {SUPPORTED}")
    if not processor.chat_template:
        raise UsageError(f"the processor of {folder} has no chat template; {SUPPORTED}")
    return processor


def _model(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForImageTextToText

    from hnbench.weights.checkpoint import load_pretrained

    try:
        model = load_pretrained(
            AutoModelForImageTextToText, folder, dtype=dtype, left_over=ANYTHING
        )
    except UsageError as error:
        raise UsageError(f"{error}; {SUPPORTED}") from error
    if model.config.is_encoder_decoder or model.config.get_text_config().is_encoder_decoder:
        raise UsageError(f"{folder} is an encoder-decoder ({type(model).__name__}); {SUPPORTED}")
    return model
