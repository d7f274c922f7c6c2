"""The identities of runs and of records: two with the same identity are the same.

Everything here is computed from `run.json` alone, so a report finds the records that belong to the
plan without loading any model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hnbench.config import values_of
from hnbench.runs.record import SCHEMA
from hnbench.seeds import canonical, digest, digest_of_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.config import RunConfig
    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.rewards.base import Mixture, Reward
    from hnbench.suites.base import Judge, Suite
    from hnbench.tasks import Task

_BY_FINGERPRINT = (
    "suite",
    "suite_version",
    "generator",
    "image_size",
    "prompt_prefix",
    "max_sequence_length",
    "optimised",
    "held_out",
)
"""Identity fields of the configuration that do not enter the identity by value, because a version
or fingerprint stands for them: names, and the generator's options.
"""


def describe(
    config: RunConfig,
    suite: Suite,
    judge: Judge | None,
    generator: Generator,
    *,
    rewards: Mixture,
    held_out: Sequence[Reward],
) -> dict[str, Any]:
    """The part of `run.json` that says what is measured and with which models. `judge` is None if
    the suite has none.
    """
    scorers = {name: reward for name, (reward, _) in rewards.parts.items()} | {
        reward.name: reward for reward in held_out
    }
    described: dict[str, Any] = {
        "schema": SCHEMA,
        "config": {
            **values_of(config, "identity"),
            **values_of(config, "plan"),
            **values_of(config, "runtime"),
        },
        "identity_fields": sorted(values_of(config, "identity")),
        "suite": {
            "name": suite.name,
            "version": suite.version,
            "tags": list(suite.tags),
            "judge": (
                None if judge is None else {"name": judge.name, "fingerprint": judge.fingerprint}
            ),
        },
        "generator": {
            "name": generator.name,
            "fingerprint": generator.fingerprint,
            "details": generator.details,
        },
        "rewards": {
            "optimised": {name: weight for name, (_, weight) in rewards.parts.items()},
            "held_out": [reward.name for reward in held_out],
            "fingerprints": {name: reward.fingerprint for name, reward in scorers.items()},
            "sources": {name: reward.source for name, reward in scorers.items() if reward.source},
        },
    }
    if max(config.steps, config.render_steps or 1) > 1:
        described["noise_between_steps"] = "of the sample"
    return {**described, "identity": digest(shared_identity(described))}


def models_of(
    described: Mapping[str, Any], judge: Judge | None, methods: Sequence[Method]
) -> dict[str, str]:
    """All models that a run's numbers depend on: a name for people -> the fingerprint."""
    found = {f"generator {described['generator']['name']}": described["generator"]["fingerprint"]}
    found |= {
        f"reward {name}": fingerprint
        for name, fingerprint in described["rewards"]["fingerprints"].items()
    }
    found |= {
        f"judge's {name}": fingerprint
        for name, fingerprint in (judge.networks if judge else {}).items()
    }
    adapters = {method.name: method.identity().get("adapter") for method in methods}
    return found | {
        f"adapter of {name}": sha256 for name, sha256 in adapters.items() if isinstance(sha256, str)
    }


def shared_identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the identity that all records of a run share: weights and judges by fingerprint,
    the rest by value. Fields have names that a user understands, because messages show them.
    """
    suite, rewards, config = manifest["suite"], manifest["rewards"], manifest["config"]
    prints = rewards["fingerprints"]
    return {
        # This is the version of the identity, not of the files: a later version of the files can
        # hold the same runs.
        "schema": 1,
        "suite": suite["name"],
        "suite version": suite["version"],
        "judge": suite["judge"] and suite["judge"]["fingerprint"],
        "generator": manifest["generator"]["fingerprint"],
        "optimised rewards": {
            name: [prints[name], weight] for name, weight in rewards["optimised"].items()
        },
        "held-out rewards": {name: prints[name] for name in rewards["held_out"]},
        **{
            name: config[name]
            for name in manifest["identity_fields"]
            if name not in _BY_FINGERPRINT
        },
        # Older runs of several steps used the same noise between steps for all samples, which gives
        # other images. Without this field, they keep the identity that they had.
        **(
            {"noise between steps": manifest["noise_between_steps"]}
            if "noise_between_steps" in manifest
            else {}
        ),
    }


def differences(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    words: tuple[str, str] = ("there", "asked for"),
) -> str:
    """The fields of `shared_identity` in which two `run.json` differ, with both values, for a
    message; empty if they describe the same run. `words` say which value is whose.
    """
    first, second = shared_identity(one), shared_identity(other)
    names = sorted(
        name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
    )
    return "; ".join(
        f"{name}: {_short(first.get(name))} {words[0]}, {_short(second.get(name))} {words[1]}"
        for name in names
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else f"{text[:20]}..."


class RecordIds:
    """The ids of a run's records: the SHA-256 of each record's identity. Batch size, device and
    order are not part of it.

    An id is `digest({**shared, "prompt_id": ..., "prompt": ..., "sample": ..., "method": ...,
    "label": ...})`, where `method` is the method's `identity()`. A report needs all ids of a run,
    so each part of the JSON text is made only once: the beginning for a method and its label, which
    all tasks share, and the end for a task, which all labels share.
    """

    _OWN = ("label", "method", "prompt", "prompt_id", "sample")

    def __init__(self, shared: Mapping[str, Any]) -> None:
        """`shared` is `shared_identity` of the run."""
        self._beginnings: dict[tuple[str, str], str] = {}
        self._ends: dict[Task, str] = {}
        # The canonical JSON text, cut where the values of a record's own fields belong.
        self._between = [""]
        for key in sorted({*shared, *self._OWN}):
            self._between[-1] += f"{',' if self._between != [''] else ''}{canonical(key)}:"
            if key in self._OWN:
                self._between.append("")
            else:
                self._between[-1] += canonical(shared[key])

    def of(self, task: Task, method: str, label: str) -> str:
        """The id of one record. `method` is the canonical text of the method's identity
        (`hnbench.seeds.canonical`).
        """
        beginning = self._beginnings.get((method, label))
        if beginning is None:
            beginning = self._beginnings[method, label] = self._beginning(method, label)
        end = self._ends.get(task)
        if end is None:
            end = self._ends[task] = self._end(task)
        return digest_of_text(beginning + end)

    def _beginning(self, method: str, label: str) -> str:
        first, after_label, after_method, *_ = self._between
        return f"{{{first}{canonical(label)}{after_label}{method}{after_method}"

    def _end(self, task: Task) -> str:
        *_, after_prompt, after_id, last = self._between
        prompt, prompt_id = canonical(task.prompt), canonical(task.prompt_id)
        return f"{prompt}{after_prompt}{prompt_id}{after_id}{task.sample}{last}}}"
