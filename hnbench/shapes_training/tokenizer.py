"""The tokenizer: one token per word of the world, in CLIP's layout (start, words, end, padding)."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hnbench.shapes.captions import by_text

MAX_TOKENS = 16


def build() -> PreTrainedTokenizerFast:
    """A tokenizer that knows the words of all captions; any other word becomes <unk>."""
    # The end token has the largest id, as in CLIP: text towers find the token to pool by that.
    words = sorted({word for text in by_text() for word in text.split()})
    vocabulary = {
        word: index for index, word in enumerate(["<pad>", "<start>", "<unk>", *words, "<end>"])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>",
        special_tokens=[("<start>", vocabulary["<start>"]), ("<end>", vocabulary["<end>"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_TOKENS,
        bos_token="<start>",
        eos_token="<end>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="right",
    )
