"""VQAScore through small random models of the real classes, against a plain forward of the stock
model; and what is refused.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Blip2Config,
    Blip2ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
)

from hnbench.errors import UsageError
from hnbench.measures import vqascore
from hnbench.measures.sources import VQASCORE
from hnbench.measures.vqascore import VQAScore, load
from hnbench.weights import hub
from hnbench.weights.hub import Source
from hnbench.weights.vision_language import VisionLanguageModel
from tests.measures.vision_language_models import idefics, llava, qwen
from tests.rewards.samples import picture

FAMILIES = ["qwen", "llava", "idefics"]
WRITTEN = {
    "qwen": (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>",
        "<|im_end|>\n<|im_start|>assistant\n",
    ),
    "llava": ("USER: <image>\n", " ASSISTANT:"),
    "idefics": ("<|im_start|>User:<image>", "<end_of_utterance>\nAssistant:"),
}
"""What stands before and after the question, as the families are trained with."""
YES = {"qwen": "Yes", "llava": "▁Yes", "idefics": "ĠYes"}
PROMPTS = [
    "a photo of a person",
    'a {red} sign that says "Yes {} {0} \\n %s"',
    "two stars, and a heart above a ring by the sea " * 3,
]
PICTURES = [picture((64, 64), 1), picture((96, 60), 2), picture((56, 112), 3)]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        build.__name__: build(tmp_path_factory.mktemp(build.__name__))
        for build in (qwen, llava, idefics)
    }


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A folder of a LLaVA, to be spoilt."""
    return Path(shutil.copytree(folders["llava"], tmp_path / "model"))


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models do not know a person from a bicycle; they are asked all the same."""
    monkeypatch.setattr(VQAScore, "verify", lambda _: None)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_value_is_the_probability_of_yes_in_a_plain_forward(
    family: str, folders: dict[str, Path]
) -> None:
    found = load("cpu", str(folders[family])).values(PICTURES, PROMPTS)
    model, processor = (
        AutoModelForImageTextToText.from_pretrained(folders[family]),
        AutoProcessor.from_pretrained(folders[family]),
    )
    before, after = WRITTEN[family]
    token = processor.tokenizer.convert_tokens_to_ids(YES[family])
    for value, shown, prompt in zip(found, PICTURES, PROMPTS, strict=True):
        text = before + 'Does this figure show "' + prompt + '"? Please answer yes or no.' + after
        inputs = processor(text=[text], images=[shown], return_tensors="pt")
        with torch.no_grad():
            expected = model(**inputs).logits[0, -1].double().exp()
        assert value == pytest.approx(float(expected[token] / expected.sum()), rel=1e-6)
        generated = model.generate(
            **inputs,
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        assert value == pytest.approx(float(generated.logits[0][0].softmax(-1)[token]), rel=1e-4)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_value_depends_on_its_picture_and_prompt_and_not_on_its_neighbours(
    family: str, folders: dict[str, Path]
) -> None:
    measure = load("cpu", str(folders[family]))
    together = measure.values(PICTURES, PROMPTS)
    assert measure.values(PICTURES[::-1], PROMPTS[::-1]) == together[::-1]
    assert [
        measure.values([shown], [prompt])[0]
        for shown, prompt in zip(PICTURES, PROMPTS, strict=True)
    ] == together
    assert all(0 < value < 1 for value in together)
    others = measure.values([PICTURES[0], PICTURES[1]], [PROMPTS[1], PROMPTS[0]])
    assert len({round(value, 9) for value in (*together, *others)}) == 5


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answer_s_token_is_the_one_that_the_chat_goes_on_with(
    family: str, folders: dict[str, Path]
) -> None:
    model = VisionLanguageModel(folders[family], "cpu", VQASCORE.files)
    names = model.processor.tokenizer.convert_ids_to_tokens(
        [model.first_token("Yes"), model.first_token("No")]
    )
    assert names == [YES[family], YES[family].replace("Yes", "No")]


def test_of_an_answer_of_several_tokens_the_first_counts(folders: dict[str, Path]) -> None:
    model = VisionLanguageModel(folders["qwen"], "cpu", VQASCORE.files)
    assert model.processor.tokenizer.convert_ids_to_tokens(model.first_token("Zebra")) == "Z"


class Answers:
    """A model that gives prepared probabilities by what is asked about, and notes who was asked
    about what.
    """

    fingerprint = "of the weights"

    def __init__(self, chances: dict[str, float], tokens: dict[str, int] | None = None) -> None:
        self.chances, self.tokens = chances, tokens or {"Yes": 1, "No": 2}
        self.asked: list[tuple[tuple[int, int], str, int]] = []

    def first_token(self, answer: str) -> int:
        return self.tokens[answer]

    def probability(self, shown: Image.Image, question: str, token: int) -> float:
        self.asked.append((shown.size, question, token))
        return next(chance for words, chance in self.chances.items() if words in question)


def measure_of(model: Any) -> VQAScore:
    return VQAScore(model, name="vqascore", about="", source="owner/name@abc")


def test_a_model_that_sees_is_checked_once_before_the_first_value() -> None:
    model = Answers({"person": 0.9, "bicycle": 0.1, "a ring": 0.4})
    measure = measure_of(model)
    assert measure.values([PICTURES[0]], ["a ring"]) == [0.4]
    assert measure.values([PICTURES[1]], ["a ring"]) == [0.4]
    questions = [
        f'Does this figure show "{claim}"? Please answer yes or no.'
        for claim in ("a photo of a person", "a photo of a bicycle")
    ]
    ring = 'Does this figure show "a ring"? Please answer yes or no.'
    assert model.asked == [((512, 600), question, 1) for question in questions] + [
        ((64, 64), ring, 1),
        ((96, 60), ring, 1),
    ]


@pytest.mark.parametrize("person", [0.1, 0.25])
def test_a_model_that_does_not_see_gives_no_value(person: float) -> None:
    model = Answers({"person": person, "bicycle": 0.25, "a ring": 0.4})
    measure = measure_of(model)
    for _ in range(2):
        with pytest.raises(
            UsageError,
            match=(
                rf"abc cannot be trusted: .*person' has VQAScore {person} and .*bicycle' has 0\.25;"
                r" give an"
            ),
        ):
            measure.values([PICTURES[0]], ["a ring"])
    assert not [question for _, question, _ in model.asked if "a ring" in question]


def test_what_is_no_number_is_refused() -> None:
    measure = measure_of(Answers({"person": 0.9, "bicycle": 0.1, "a ring": math.nan}))
    with pytest.raises(UsageError, match="owner/name@abc gave nan for the prompt 'a ring'"):
        measure.values([PICTURES[0]], ["a ring"])


def test_weights_that_overflow_are_no_number(copied: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(copied)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("inf"))
    model.save_pretrained(copied)
    with pytest.raises(UsageError, match="gave nan for the prompt 'a photo of a person'"):
        load("cpu", str(copied)).values(PICTURES[:1], PROMPTS[:1])


def test_answers_that_begin_alike_are_refused() -> None:
    with pytest.raises(
        UsageError, match="'Yes' and 'No' begin with the same token in the chat of owner/name@abc"
    ):
        measure_of(Answers({}, {"Yes": 7, "No": 7}))


def test_a_prompt_with_a_special_token_is_refused(folders: dict[str, Path]) -> None:
    model = VisionLanguageModel(folders["llava"], "cpu", VQASCORE.files)
    with pytest.raises(
        UsageError, match="'two <image> signs' has '<image>', which is a special token"
    ):
        model.probability(PICTURES[0], "two <image> signs", 1)


def test_a_chat_that_opens_with_thought_is_refused(copied: Path) -> None:
    template = copied / "chat_template.jinja"
    template.write_text(template.read_text().replace("}ASSISTANT:{", "}ASSISTANT: <think>{"))
    with pytest.raises(UsageError, match="does not go on with the answer"):
        load("cpu", str(copied))


def test_a_model_without_a_chat_is_refused(copied: Path) -> None:
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="has no chat template; give a decoder with image input"):
        load("cpu", str(copied))


def test_a_model_of_text_alone_is_refused(copied: Path) -> None:
    size = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 300,
    }
    LlamaForCausalLM(LlamaConfig(**size)).save_pretrained(copied)
    with pytest.raises(
        UsageError,
        match="cannot be loaded as AutoModelForImageTextToText: Unrecognized configuration class",
    ):
        load("cpu", str(copied))
    (copied / "processor_config.json").unlink()
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(
        json.dumps({name: value for name, value in settings.items() if name != "processor_class"})
    )
    with pytest.raises(UsageError, match="has no processor of images and text"):
        load("cpu", str(copied))


def test_an_encoder_decoder_is_refused(copied: Path) -> None:
    size = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {
        "model_type": "t5",
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 2,
        "vocab_size": 300,
    }
    config = Blip2Config(
        vision_config={**size, "image_size": 32, "patch_size": 8},
        qformer_config={**size, "encoder_hidden_size": 16},
        text_config=text,
    )
    Blip2ForConditionalGeneration(config).save_pretrained(copied)
    with pytest.raises(
        UsageError, match=r"is an encoder-decoder \(Blip2ForConditionalGeneration\)"
    ):
        load("cpu", str(copied))


def test_weights_that_are_missing_pickled_or_damaged_are_refused(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = copied / "model.safetensors"
    kept = load_file(weights)
    save_file(
        {name: value for name, value in kept.items() if "lm_head" not in name},
        weights,
        {"format": "pt"},
    )
    with pytest.raises(UsageError, match=r"keys: 1 missing \(lm_head.weight\).*; give a decoder"):
        load("cpu", str(copied))
    weights.write_bytes(b"no weights")
    with pytest.raises(UsageError, match="cannot be loaded as AutoModelForImageTextToText"):
        load("cpu", str(copied))
    weights.unlink()
    torch.save({**kept, "code": Path("x")}, copied / "pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be read as weights alone"):
        load("cpu", str(copied))
    torch.save(kept, copied / "pytorch_model.bin")
    load("cpu", str(copied))


def test_a_folder_with_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no processor that can be loaded"):
        load("cpu", str(tmp_path))


def test_a_measure_is_known_by_its_model_and_its_question(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load("cpu", str(folders["llava"]))
    prints = {
        first.fingerprint,
        load("cpu", str(folders["qwen"])).fingerprint,
        load("cpu", str(llava(tmp_path / "2", seed=1))).fingerprint,
    }
    elsewhere = shutil.copytree(folders["llava"], tmp_path / "elsewhere")
    assert load("cpu", str(elsewhere)).fingerprint == first.fingerprint
    template = elsewhere / "chat_template.jinja"
    template.write_text(template.read_text().replace("<image>\n", "<image> "))
    prints.add(load("cpu", str(elsewhere)).fingerprint)
    halved = load("cpu", str(folders["llava"]))
    halved.model.dtype = torch.bfloat16
    prints.add(halved.fingerprint)
    monkeypatch.setattr(vqascore, "QUESTION", "Is this {}?")
    prints.add(load("cpu", str(folders["llava"])).fingerprint)
    assert len(prints) == 6


@pytest.fixture
def fetched(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[Source]:
    """The sources that are downloaded; each one's snapshot is the small LLaVA."""
    asked: list[Source] = []

    def download(source: Source) -> Path:
        asked.append(source)
        return Path(
            shutil.copytree(folders["llava"], tmp_path / source.repo / "snapshots" / "0123abcd")
        )

    monkeypatch.setattr(hub, "download", download)
    return asked


def test_the_default_model_and_another_one_of_the_hub(fetched: list[Source]) -> None:
    default, other = load("cpu"), load("cpu", "owner/name@v1")
    assert fetched == [
        VQASCORE,
        Source("owner/name", "v1", VQASCORE.patterns, needs=VQASCORE.needs),
    ]
    assert (default.name, other.name) == ("vqascore", "vqascore@owner/name@v1")
    assert (default.source, other.source) == (f"{VQASCORE.repo}@0123abcd", "owner/name@0123abcd")
    assert f"that {VQASCORE.repo} answers" in default.about
    assert "that owner/name@v1 answers" in other.about
    assert default.fingerprint == other.fingerprint


def test_neither_folder_nor_repository() -> None:
    with pytest.raises(UsageError, match="'nothing-like-it' is not a folder here"):
        load("cpu", "nothing-like-it")


def test_where_the_default_model_comes_from_is_known_without_torch() -> None:
    code = (
        "import sys; from hnbench.measures.vqascore import load; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
