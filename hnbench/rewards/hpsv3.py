"""HPSv3: how much people would prefer an image for a prompt (Ma et al., arXiv 2508.03789), from
about -2 to 15.

Qwen2-VL reads a text about what people prefer, with the prompt in it, and the image; a head rates
the hidden state of a token of its own. The score is the mean of the preference's distribution, as
the head gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Qwen2VLConfig

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.rewards.hpsv3_instruction import read_instruction
from hnbench.rewards.hpsv3_network import HPSv3Network, renamed
from hnbench.rewards.network import NetworkReward
from hnbench.rewards.published import make_published
from hnbench.rewards.qwen2_vl_pixels import FlexiblePixels
from hnbench.rewards.sources import HPSV3
from hnbench.seeds import digest
from hnbench.weights.checkpoint import fill
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.vision_language import load_processor, refuse_special, special_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

REWARD_TOKEN = "<|Reward|>"
PIXELS = 256 * 28 * 28
"""The pixels that every image is resized to, in its own ratio."""
_EMBEDDING = "model.embed_tokens.weight"


class HPSv3Reward(NetworkReward):
    """The reward of the published checkpoint, a folder with the configuration and the processor of
    the model that it began as, and the text (`instruction`) that the model reads, with
    `{text_prompt}` for the prompt and `REWARD_TOKEN` where it is rated.

    Images are read one by one: a prompt's length would change the others' padding.
    """

    def __init__(
        self,
        path: Path,
        base: Path,
        *,
        instruction: str,
        name: str,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        source: str = "",
    ) -> None:
        weights = _weights(path)
        config = Qwen2VLConfig.from_pretrained(base, local_files_only=True)
        config.text_config.vocab_size = len(weights[_EMBEDDING])
        # Without memory for weights, which `fill` takes from the checkpoint.
        with init_empty_weights(include_buffers=False):
            self.network = HPSv3Network(config)
        fill(self.network, renamed(weights), path)
        self.network.model.to(device, dtype)
        self.network.head.to(device, torch.float32)
        self.network.requires_grad_(False).eval()
        self.processor = load_processor(base)
        self.processor.tokenizer.add_tokens([REWARD_TOKEN], special_tokens=True)
        if len(self.processor.tokenizer) > len(weights[_EMBEDDING]):
            raise UsageError(
                f"the tokenizer in {base} has {len(self.processor.tokenizer)} tokens and"
                f" {path} {len(weights[_EMBEDDING])}; it must be that of Qwen2-VL-7B-Instruct"
            )
        self._marks = special_tokens(self.processor.tokenizer)
        self._image_token = config.image_token_id
        self._instruction = instruction
        self._device, self._dtype = device, dtype
        self._texts: dict[str, tuple[Tensor, int, int]] = {}
        pixels = FlexiblePixels(self.network.patch * self.network.merge, PIXELS, device)
        prints = [
            fingerprint_of(path.parent, [path.name]),
            fingerprint_of(base, HPSV3[1].files),
        ]
        super().__init__(
            name=name,
            fingerprint=digest(["HPSv3", instruction, *prints]),
            source=source,
            pixels=pixels,
            published=pixels.of_picture,
        )

    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        pairs = zip(pixels.to(self._dtype), prompts, strict=True)
        return torch.stack([self.network(image, *self._read(prompt))[0] for image, prompt in pairs])

    def _read(self, prompt: str) -> tuple[Tensor, int, int]:
        """The tokens of a prompt's text, and the places of the image and of the rated token.
        `UsageError` for a prompt with one of the model's special tokens.
        """
        if prompt not in self._texts:
            refuse_special(f"the prompt {prompt!r}", prompt, self._marks)
            text = self._instruction.format(text_prompt=prompt)
            content = [{"type": "image"}, {"type": "text", "text": text}]
            chat = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
            tokenizer = self.processor.tokenizer
            ids: list[int] = tokenizer(chat, add_special_tokens=False).input_ids
            rated = ids.index(tokenizer.convert_tokens_to_ids(REWARD_TOKEN))
            place = ids.index(self._image_token)
            self._texts[prompt] = (torch.tensor(ids, device=self._device), place, rated)
        return self._texts[prompt]


def _weights(path: Path) -> dict[str, Tensor]:
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{path} cannot be read as safetensors ({first_line(error)}); download it again"
        ) from error
    if _EMBEDDING not in found:
        raise UsageError(f"{path} has no {_EMBEDDING}; it must be the checkpoint of HPSv3")
    return found


def load(*, device: str, dtype: str, where: str = "") -> HPSv3Reward:
    """HPSv3, 7B."""
    instruction = read_instruction()  # small, so it comes before the weights
    return make_published(
        HPSv3Reward,
        "hpsv3",
        HPSV3,
        where=where,
        device=device,
        dtype=dtype,
        instruction=instruction,
    )
