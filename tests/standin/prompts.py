"""Prompt files of the published sets' form and number, with prompts of our own."""

from __future__ import annotations

import json

from hnbench.suites.geneval.suite import COUNTS
from hnbench.suites.t2i_compbench.parse import parse_by_rules
from hnbench.suites.t2i_compbench.parses import PARSED, Parses, key_of
from hnbench.suites.t2i_compbench.prompts import CATEGORIES, KINDS
from tests.rewards import hpsv3_text
from tests.suites import mask2former

_THINGS = ("apple", "bench", "pizza", "banana", "zebra", "train")
_SENTENCES = {
    "spatial": "a {one} on the left of a {other}",
    "3d_spatial": "a {one} in front of a {other}",
    "numeracy": "two things0 and one thing1 beside the {one}",
    "non_spatial": "a person with an {one}",
}


def _lines(category: str, count: int = 300) -> list[str]:
    sentence = _SENTENCES.get(category, "a red {one} and a green {other}")
    return [
        f"{sentence.format(one=_THINGS[index % 6], other=_THINGS[(index + 1) % 6])} number {index}"
        for index in range(count)
    ]


def compbench() -> dict[str, str]:
    """T2I-CompBench's validation files, and its list of countable things."""
    files = {f"t2i-compbench/{category}_val.txt": _lines(category) for category in CATEGORIES}
    start, complex_ = 0, files["t2i-compbench/complex_val.txt"]
    for kind, count in KINDS.items():
        files[f"t2i-compbench/complex_val_{kind}.txt"] = complex_[start : start + count]
        start += count
    files["t2i-compbench/new_objects.txt"] = [
        f"thing{index} - things{index}" for index in range(101)
    ]
    return {name: "\r\n".join(lines) + "\r\n" for name, lines in files.items()}


def parses() -> Parses:
    """The parses of all prompts that need one."""
    return Parses(
        "our own 1",
        {
            key_of(prompt): parse_by_rules(prompt)
            for category in PARSED
            for prompt in _lines(category)
        },
    )


def geneval() -> dict[str, str]:
    """GenEval's metadata, of things that the small detector knows, and its list of classes."""
    rows = []
    for tag, count in COUNTS.items():
        for index in range(count):
            clause = {
                "class": mask2former.NAMES[index % 8],
                "count": 1,
                **({"color": "red"} if tag == "colors" else {}),
            }
            rows.append({"tag": tag, "include": [clause], "prompt": f"a photo of {tag} {index}"})
    names = [*mask2former.NAMES, *(f"other {index}" for index in range(72))]
    return {
        "geneval/evaluation_metadata.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows),
        "geneval/object_names.txt": "\n".join(names),
    }


def geneval2() -> dict[str, str]:
    """GenEval 2's prompts and questions."""
    rows = [
        {
            "prompt": f"{atoms} things, {number}",
            "atom_count": atoms,
            "vqa_list": [["How many things are in the image?", "two"], ["Is it red?", "Yes"]],
            "skills": ["count", "attribute"],
        }
        for atoms in range(3, 11)
        for number in range(100)
    ]
    return {"geneval2/geneval2_data.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows)}


def dpg_vlm() -> dict[str, str]:
    """DPG-Bench's prompts and questions, the second of which depends on the first."""
    header = "item_id,text,proposition_id,dependency,question_natural_language"
    rows = [
        f'{item},"long prompt {item}, and more",{number},{number - 1},Is there thing {number}?'
        for item in range(1065)
        for number in (1, 2)
    ]
    return {"dpg/dpg_bench.csv": "\n".join([header, *rows]) + "\n"}


def genai_bench() -> str:
    """GenAI-Bench's `genai_image.json`, which is got by hand."""
    return json.dumps(
        {f"{index:05d}": {"prompt": f"thing {index}", "models": {}} for index in range(1, 1601)}
    )


def others() -> dict[str, str]:
    """PartiPrompts, and what HyperNoise is trained on."""
    rows = "".join(f"parti prompt {index}\tAbstract\tBasic\t\n" for index in range(1632))
    training = {
        f"t2i-compbench/{name}_train.txt": f"to train {name} on\nand again\n" for name in CATEGORIES
    }
    return {
        "partiprompts/PartiPrompts.tsv": f"Prompt\tCategory\tChallenge\tNote\n{rows}",
        **training,
        "training/abc-6k.txt": "a red dog and a blue cat\nA green bench.\n",
        "training/pickapic-prompts.json": json.dumps(
            {str(index): f"picked {index}" for index in range(20)}
        ),
        "training/hypernoise-examples.txt": "a bench\n",
    }


def all_files() -> dict[str, str]:
    """All of them, by the names of `hnbench.weights.pinned_files`."""
    return {
        **compbench(),
        **geneval(),
        **geneval2(),
        **dpg_vlm(),
        **others(),
        "hpsv3/data_collator_qwen.py": hpsv3_text.SOURCE,
    }
