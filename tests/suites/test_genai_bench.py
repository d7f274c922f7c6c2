"""GenAI-Bench: its prompts from a file, and its judge against a plain forward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from hnbench.errors import UsageError
from hnbench.measures.vqascore import VQAScore, load
from hnbench.suites.genai_bench import suite as genai
from hnbench.suites.genai_bench.suite import GenAIBenchSuite, genai_bench, genai_bench_protocol
from tests.measures.vision_language_models import qwen
from tests.rewards.samples import picture
from tests.suites.protocols import tasks_of

ENTRIES: dict[str, Any] = {
    f"{number:05d}": {
        "id": f"{number:05d}",
        "prompt": f" thing {number}, with 'quotes' and {{braces}} ",
        "prompt in Chinese": "一件东西",
        "models": {"DALLE_3": [5, 5, 4], "SDXL_Turbo": [2, 4, 3]},
    }
    for number in range(1, 4)
}
"""As in the file of the 527 prompts that t2v-metrics once had."""


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(genai, "COUNT", 3)
    (tmp_path / "genai-bench").mkdir()
    path = tmp_path / "genai-bench/genai_image.json"
    path.write_text(json.dumps(ENTRIES))
    return path


@pytest.mark.usefixtures("file")
def test_the_prompts_of_the_file_have_one_image_each() -> None:
    suite = genai_bench()
    assert [(prompt.id, prompt.text) for prompt in suite.prompts()] == [
        (f"{number:05d}", f"thing {number}, with 'quotes' and {{braces}}") for number in (1, 2, 3)
    ]
    assert all(prompt.metadata == {"prompt": prompt.text} for prompt in suite.prompts())
    assert len(tasks_of(suite, full=True)) == 3
    assert suite.name == "genai-bench"


@pytest.mark.usefixtures("file")
def test_the_protocol_has_the_suite_s_numbers_and_tags() -> None:
    suite, protocol = genai_bench(), genai_bench_protocol()
    assert len(suite.prompts()) == len(protocol.prompts())
    assert suite.tags == protocol.tags
    assert len(suite.subset()) == len(protocol.subset())


def test_other_people_s_ratings_do_not_change_the_suite(file: Path) -> None:
    before = genai_bench().version
    file.write_text(json.dumps({key: {"prompt": one["prompt"]} for key, one in ENTRIES.items()}))
    assert genai_bench().version == before
    file.write_text(json.dumps({**ENTRIES, "00002": {"prompt": "another"}}))
    assert genai_bench().version != before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "is not GenAI-Bench's genai_image.json"),
        (json.dumps(["a cat"]), "give an object from numbers to prompts"),
        (json.dumps({"00001": "a cat"}), "give an object from numbers to prompts"),
        (json.dumps({"00001": ENTRIES["00001"]}), "has 1 prompts; 3 are expected"),
        (json.dumps({**ENTRIES, "00002": {"prompt": " "}}), "prompt 00002 of .* is empty"),
        (json.dumps({**ENTRIES, "00002": {"prompt": "a\0"}}), "00002 of .* a control character"),
        (json.dumps({**ENTRIES, "../x": {"prompt": "a"}}), "'../x'; digits are expected"),
    ],
)
def test_another_file_is_refused(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    with pytest.raises(UsageError, match=said):
        genai_bench()


def test_a_missing_file_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HNBENCH_DATA", raising=False)
    with pytest.raises(UsageError, match=r"BaiqiL/GenAI-Bench-1600 .* set HNBENCH_DATA=FOLDER"):
        genai_bench()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen(tmp_path_factory.mktemp("qwen"))


@pytest.mark.usefixtures("file")
def test_a_grade_is_the_probability_of_yes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VQAScore, "verify", lambda _: None)
    suite = genai_bench(vlm=str(folder))
    judge = suite.judge()
    images = [picture((64, 64), seed) for seed in range(3)]
    verdicts = judge.judge(images, [prompt.metadata for prompt in suite.prompts()])
    processor = AutoProcessor.from_pretrained(folder)
    stock = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    yes = processor.tokenizer.convert_tokens_to_ids("Yes")
    for image, prompt, verdict in zip(images, suite.prompts(), verdicts, strict=True):
        question = f'Does this figure show "{prompt.text}"? Please answer yes or no.'
        before = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        text = f"{before}{question}<|im_end|>\n<|im_start|>assistant\n"
        inputs = processor(text=[text], images=[image], return_tensors="pt")
        with torch.no_grad():
            chances = stock(**inputs).logits[0, -1].double().softmax(-1)
        assert verdict.correct is None
        assert verdict.score == pytest.approx(float(chances[yes]), rel=1e-5)


def test_the_judge_has_the_measure_s_name_fingerprint_and_check(folder: Path) -> None:
    judge = GenAIBenchSuite([], vlm=str(folder)).judge()
    measure = load("cpu", str(folder))
    assert (judge.name, judge.fingerprint) == (f"vqascore@{folder}", measure.fingerprint)
    assert judge.networks == {"vlm": measure.model.fingerprint}


def test_a_model_that_does_not_see_is_not_trusted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: VQAScore) -> None:
        raise UsageError("it cannot be trusted")

    monkeypatch.setattr(VQAScore, "verify", refuse)
    with pytest.raises(UsageError, match="cannot be trusted"):
        GenAIBenchSuite([], vlm=str(folder)).judge().verify()
