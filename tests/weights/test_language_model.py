"""A small random language model of a real class, with a real tokenizer: replies, and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hnbench.errors import PluginError, UsageError
from hnbench.methods.prompt_search import PromptSearch
from hnbench.methods.rewriting import Request, Tried
from hnbench.methods.rewriting_model import ModelRewriter, listed, question
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from hnbench.weights.language_model import (
    LanguageModel,
    Written,
    fingerprint_of_language_model,
    folder_of_language_model,
    language_model,
)
from tests.methods.linear import noises_for, tasks_of
from tests.methods.rewriters import language_model_folder

REQUEST = Request("a cat", (Tried("one cat", 0.5), Tried("a cat", 0.25)), 2, 11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return language_model_folder(tmp_path_factory.mktemp("language") / "model")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for cache in (language_model, folder_of_language_model, fingerprint_of_language_model):
        cache.cache_clear()


def test_a_seed_decides_the_reply_and_leaves_torchs_own_numbers(folder: Path) -> None:
    model = LanguageModel(folder, "cpu")
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = model.reply("write", seed=1, most_tokens=20)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert model.reply("write", seed=1, most_tokens=20) == first
    assert model.reply("write", seed=2, most_tokens=20) != first
    assert model.reply("wrote", seed=1, most_tokens=20) != first
    assert 0 < first.tokens <= 20


def test_the_reply_is_drawn_from_the_probabilities_of_the_model(folder: Path) -> None:
    """The first token of many replies, against the softmax of one pass."""
    model = LanguageModel(folder, "cpu")
    ids = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "x"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )["input_ids"]
    text = "<|user|>x<|end|><|assistant|>"
    assert model.tokenizer.decode(ids[0]) == text
    with torch.no_grad():
        expected = model.model(ids).logits[0, -1].double().softmax(-1)
    # The model has no other settings than those of transformers: the 50 most probable tokens.
    expected = torch.where(expected >= expected.topk(50).values[-1], expected, 0)
    expected /= expected.sum()
    draws = [model.reply("x", seed=seed, most_tokens=1) for seed in range(300)]
    words = [model.tokenizer.decode([place]) for place in range(len(expected))]
    likeliest = words[int(expected.argmax())]
    share = sum(one.text == likeliest for one in draws) / 300
    probability = float(expected.max())
    assert abs(share - probability) < 4 * (probability * (1 - probability) / 300) ** 0.5


def test_the_question_has_the_best_prompts_with_their_scores() -> None:
    text = question(REQUEST, keep=1)
    assert "\na cat\n" in text
    assert "0.5: one cat" in text
    assert "0.25" not in text
    assert "2 new prompts" in text
    assert "0.5: one cat\n0.25: a cat\n" in question(REQUEST, keep=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. a cat\n2. two cats", ["a cat", "two cats"]),
        ("Here they are:\n\n 1) a cat\n10: two cats\nHave fun!", ["a cat", "two cats"]),
        ('**1.** "a cat"\n2. **two cats**\n3.', ["a cat", "two cats"]),
        ("1. a cat, 2 dogs and 3. birds", ["a cat, 2 dogs and 3. birds"]),
        ("a cat\n- two cats", []),
    ],
)
def test_numbered_lists_are_read(text: str, expected: list[str]) -> None:
    assert list(listed(text)) == expected


def test_the_answer_is_the_list_without_the_models_own_marks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def reply(_self: LanguageModel, message: str, *, seed: int, most_tokens: int) -> Written:
        asked.append((message, seed, most_tokens))
        return Written("1. a cat <|end|>\n2. two cats", 9)

    monkeypatch.setattr(LanguageModel, "reply", reply)
    answer = ModelRewriter(str(folder), keep=20).answer(REQUEST, "cpu")
    assert (answer.texts, answer.tokens) == (("two cats",), 9)
    assert asked == [(question(REQUEST, 20), 11, 256)]


def test_a_search_with_a_model_counts_its_tokens_and_repeats_itself(folder: Path) -> None:
    method = PromptSearch(proposals=1, rounds=3, model=str(folder))
    generator = ToyGenerator()
    method.prepare(generator)

    def found() -> list[tuple[str | None, tuple[float, ...], int, int]]:
        outcomes = method.propose(
            tasks_of("a cat", "a dog"), generator, BrightnessReward(), noises_for(generator)
        )
        return [
            (
                one.chosen_prompt,
                one.trajectory or (),
                one.rewriter.calls,
                one.rewriter.tokens or 0,
            )
            for one in outcomes
            if one.rewriter is not None
        ]

    first = found()
    assert first == found()
    # Random bytes are no list, so nothing but the original was rendered.
    for (prompt, trajectory, calls, tokens), own in zip(first, ["a cat", "a dog"], strict=True):
        assert (prompt, len(trajectory), calls) == (own, 1, 2)
        assert 0 < tokens <= 2 * 128


def test_the_identity_is_that_of_the_files(folder: Path, tmp_path: Path) -> None:
    first = PromptSearch(model=str(folder)).identity()
    copy = language_model_folder(tmp_path / "copy")
    other = language_model_folder(tmp_path / "other", seed=1)
    assert PromptSearch(model=str(copy)).identity() == first
    assert PromptSearch(model=str(other)).identity()["model"] != first["model"]
    settings = copy / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "temperature": 0.5}))
    fingerprint_of_language_model.cache_clear()
    assert PromptSearch(model=str(copy)).identity()["model"] != first["model"]


def test_a_prompt_with_a_mark_of_the_model_fails_alone(folder: Path) -> None:
    rewriter = ModelRewriter(str(folder), keep=20)
    with pytest.raises(PluginError, match=r"has '<\|user\|>', which is a special token"):
        rewriter.answer(Request("a <|user|> cat", (), 1, 0), "cpu")


def test_what_cannot_be_used_is_refused_before_any_work(tmp_path: Path, folder: Path) -> None:
    plain = language_model_folder(tmp_path / "plain", chat=False)
    for model, said in [
        (str(plain), "has no chat template"),
        (str(tmp_path), "has no tokenizer"),
        ("nothing", "is not a folder here"),
    ]:
        with pytest.raises(UsageError, match=said):
            PromptSearch(model=model).prepare(ToyGenerator())
    assert language_model(folder, "cpu") is language_model(folder, "cpu")
