"""Trains a noise hypernetwork on a mixture of rewards or on pairs of noises that a search made with
it, or the directly fine-tuned comparison.

Everything random follows from the seed, the step and the place in the batch: a training that was
killed continues from its last saved state and ends, bit for bit, with the result that it would have
had. Several processes may share the work of one training (`hnbench.hypernetwork.processes`); the
result is the same up to rounding.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import torch
from torch import Tensor

from hnbench.devices.compilation import settled
from hnbench.errors import StoreError, UsageError
from hnbench.files.decoding import MalformedError, as_kind
from hnbench.files.writing import writing
from hnbench.generators.base import Conditioning, Generator
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.guards.interrupts import (
    Noted,
    interrupt_deferred,
    interrupt_noted,
    interrupted_by,
)
from hnbench.hypernetwork.adapter import FinetunedGenerator, Hypernetwork, LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import Evaluation, TrainingCost, check_whole, save_adapter
from hnbench.hypernetwork.config import OF_NOISE, Count, TrainingConfig
from hnbench.hypernetwork.draws import Draws
from hnbench.hypernetwork.evaluation import PairedEvaluation, Sample, split_prompts
from hnbench.hypernetwork.folder import State, TrainingFolder
from hnbench.hypernetwork.objective import NoiseObjective
from hnbench.hypernetwork.optimizer import learning_rate, make_optimizer, restore, tensors_of
from hnbench.hypernetwork.pair_files import PairFiles
from hnbench.hypernetwork.pairs import MadePairs, NoisePairs, NoiseSearch
from hnbench.hypernetwork.processes import Processes
from hnbench.hypernetwork.regression import regression_loss
from hnbench.hypernetwork.work import WorkPerImage
from hnbench.metering import Meter, MeteredGenerator, MeteredReward
from hnbench.rewards.base import Mixture
from hnbench.seeds import digest

PATIENCE = 10
"""The number of steps in a row without a finite gradient after which the training gives up."""


SAMPLES = 4
"""The number of held-out prompts whose images are given away at each evaluation."""

ShowSamples = Callable[[int, Sequence[Sample]], None]
"""Receives the step and the images of an evaluation."""
ShowPairs = Callable[[int, int], None]
"""Receives the number of pairs that have been made, and that of all."""


class TrainingProgress(Protocol):
    """The receiver of a training's progress, such as a display."""

    def started(self, step: int, total: int) -> None:
        """The training begins, or continues after `step` of `total` steps."""

    def stepped(self, record: Mapping[str, Any]) -> None:
        """A step is done; `record` is its line in train.jsonl, with `evaluation` if there was
        one.
        """


@dataclass(frozen=True)
class _Batch:
    """A batch of a step, on the device."""

    prompts: Sequence[str]
    noise: Tensor
    """`[B, *noise_shape]`."""
    target: Tensor | None = None
    """For a regression: the changes of the noise to be predicted, of the same shape."""


class _Values(msgspec.Struct, forbid_unknown_fields=True):
    """The values of a saved state."""

    cost: TrainingCost
    kept: Evaluation | None
    base_rewards: list[float | None] | None
    """None stands for a reward that was not finite."""
    in_a_row: Count


class Trainer:
    """One training in one folder; `train` starts or continues it. The folder matters only in the
    main one of the `processes`.

    Raises `UsageError` without prompts and for a batch that the processes cannot share evenly, and
    `ValueError` if the mixture's weights are not those of the configuration, or a regression has no
    `search` that makes its pairs.
    """

    def __init__(
        self,
        config: TrainingConfig,
        generator: Generator,
        reward: Mixture,
        prompts: Sequence[str],
        folder: Path,
        processes: Processes | None = None,
        search: NoiseSearch | None = None,
    ) -> None:
        if not prompts:
            raise UsageError(f"{config.prompts!r} has no prompts to train on; give other `prompts`")
        weights = {name: weight for name, (_, weight) in reward.parts.items()}
        if weights != config.rewards:
            raise ValueError(f"the mixture {weights} is not the configuration's {config.rewards}")
        if (config.kind == "regression") != bool(search):
            raise ValueError("a regression, and no other training, has a `search` for its pairs")
        self.processes = processes or Processes()
        self.processes.launch.require_divisible(config.batch_size, config.accumulation)
        self.config, self.folder, self.meter = config, TrainingFolder(folder), Meter()
        self.origin = _origin_of(generator)
        self.generator = MeteredGenerator(generator, self.meter)
        self.reward = MeteredReward(reward, self.meter)
        texts, held_out = split_prompts(prompts, config.seed)
        part = self.processes.part(config.batch_size)
        self.draws = Draws(config, texts, tuple(generator.noise_shape), part)
        self.pair_files = PairFiles(folder / "pairs")
        shape = tuple(generator.noise_shape)
        self.pairs = (
            NoisePairs(config, search, texts, shape, self._noise_dtype, part) if search else None
        )
        self.evaluation = PairedEvaluation(
            self.generator,
            self.reward,
            held_out[: config.eval_prompts],
            config.eval_samples,
            config.seed,
            config.batch_size,
            self.processes,
        )
        self.objective = NoiseObjective(
            config.regulariser_reduction, config.regulariser_weight, tuple(generator.noise_shape)
        )
        self.manifest, self.prompts = self._manifest(prompts), prompts
        settings = LoraSettings(
            config.rank,
            config.lora_alpha,
            config.target_pattern,
            config.seed,
            config.dense_convolutions,
            config.lora_dtype,
        )
        self.adapter = LoraAdapter(generator.backbone, settings)
        self.hypernetwork = (
            Hypernetwork(self.generator, self.adapter) if config.kind in OF_NOISE else None
        )
        self.finetuned = FinetunedGenerator(self.generator, self.adapter)
        self.parameters = list(self.adapter.named_parameters().values())
        self.optimizer = make_optimizer(config, self.parameters)
        self.work = WorkPerImage(self.meter)
        self.cost = TrainingCost(flops=0.0)
        """The cost of this training so far, except the passes. Those are counted by the meters of
        all processes together.
        """
        self.step, self.in_a_row = 0, 0
        self.saved = -1
        """The step of the state that was saved last, or continued from."""
        self.kept: dict[str, Any] | None = None
        """Step and evaluation of the adapter that will be the result: the best one of a
        fine-tuning, else the last one.
        """
        self.best: dict[str, Tensor] = {}
        """The weights of a fine-tuning's best adapter so far."""
        self._show: ShowSamples | None = None

    def train(
        self,
        progress: TrainingProgress | None = None,
        show: ShowSamples | None = None,
        show_pairs: ShowPairs | None = None,
    ) -> Path:
        """Train to the end; returns the adapter's folder. A finished training returns at once.
        `show` receives some images that each evaluation has rendered. A regression makes its pairs
        first, and tells `show_pairs` of each batch of them.

        Ctrl-C and SIGTERM, in any of the processes, end the training after the present step, with
        its state saved, or after the present batch of pairs. A second one ends it at once.

        Raises `UsageError` for a training that diverges or differs between processes, `StoreError`
        for a folder of another training, a damaged one, or one that cannot be written to or is in
        use, and `PeerError` if another process has ended.
        """
        self._show, self.evaluation.most_shown = show, SAMPLES if show else 0
        self.processes.require_same(digest(self.manifest), "arguments, models or prompts")
        with ExitStack() as held:
            if self.processes.lead(lambda: self._open(held)):
                return self.folder.adapter
            self._begin()
            self._make_pairs(show_pairs or (lambda *_: None))
            if progress:
                progress.started(self.step, self.config.steps)
            self._work(progress)
            with interrupt_deferred():
                self._finish()
        return self.folder.adapter

    def _open(self, held: ExitStack) -> bool:
        """Lock the folder until `held` ends, and read it; returns whether the training is
        finished.
        """
        held.enter_context(self.folder.locked())
        self.folder.claim(self.manifest)
        if os.path.lexists(self.folder.adapter):
            self._require_whole()
            self.folder.discard_state()
            return True
        self._restore()
        self._read_pairs()
        return False

    def _begin(self) -> None:
        """Give all processes the state of the main one, so that they begin with the same."""
        if self.processes.count == 1:
            return
        state = self.processes.share(
            self._state({**msgspec.structs.asdict(self.cost), **vars(self.meter)})
            if self.processes.main
            else None
        )
        if not self.processes.main:
            self._take(state)
            for name in vars(self.meter):  # the main process has what was counted before
                setattr(self.meter, name, 0)
        if self.pairs is not None:
            self.pairs.share(self.processes)

    def _read_pairs(self) -> None:
        """Take the pairs that are there. A saved state has their cost."""
        if self.pairs is None:
            return
        self.pairs.clear()
        for made in self.pair_files.read(self.pairs):
            self.pairs.add(made)
            if self.saved < 0:
                self._charge(made.cost)

    def _make_pairs(self, show: ShowPairs) -> None:
        """Make the pairs that are missing."""
        if self.pairs is None:
            return
        with interrupt_noted() as noted:
            show(self.pairs.done, self.pairs.count)
            for number in self.pairs.missing:
                made = self._made(self.pairs, self.pairs.batch(number))
                if self.processes.main:
                    self.pair_files.save(number, made)
                self.pairs.add(made)
                show(self.pairs.done, self.pairs.count)
                if signalled := self.processes.largest(noted.number):
                    interrupted_by(signalled)
        self.pairs.finish()

    def _made(self, pairs: NoisePairs, batch: range) -> MadePairs:
        """The pairs of a batch, whose cost is a part of the training's."""
        earlier = self._cost()
        models = self.generator, self.reward
        self._add_work("pair", len(batch), lambda: pairs.make(batch[:1], *models, Processes()))
        before = dict(vars(self.meter))

        def made() -> tuple[float, tuple[Tensor, Tensor]]:
            vars(self.meter).update(before)
            return time.perf_counter(), pairs.make(batch, *models, self.processes)

        start, found = settled(made, self.processes.largest)
        self.cost.seconds += (time.perf_counter() - start) * self.processes.count
        return MadePairs(*found, _difference(self._cost(), earlier))

    def _charge(self, cost: TrainingCost) -> None:
        """Add a cost of an earlier session."""
        for name in vars(self.meter):
            setattr(self.meter, name, getattr(self.meter, name) + getattr(cost, name))
        self.cost.seconds += cost.seconds
        if self.cost.flops is not None:
            self.cost.flops = None if cost.flops is None else self.cost.flops + cost.flops

    def _work(self, progress: TrainingProgress | None) -> None:
        """All steps that are still to be done."""
        with interrupt_noted() as noted:
            if self.kept is None:  # the untrained adapter has not been evaluated yet
                self._record({"step": 0, **self._pair_facts()}, progress)
                self._heed(noted)
            while self.step < self.config.steps:
                self._record(self._advance(), progress)
                if self.step % self.config.save_every == 0:
                    self._save()
                self._heed(noted)

    def _heed(self, noted: Noted) -> None:
        """Save the state and end, if a signal was noted in any process."""
        if number := self.processes.largest(noted.number):
            self._save()
            interrupted_by(number)

    def _save(self) -> None:
        if self.saved == self.step:
            return
        cost = self._cost()
        if self.processes.main:
            self.folder.save(self._state(cost))
        self.saved = self.step

    # One step.

    def _advance(self) -> dict[str, Any]:
        """Make one optimizer step; returns its line of the log."""
        images = self.config.batch_size * self.config.accumulation
        one = self._batch(self.step, 0, most=1)
        self._add_work("trained", images, lambda: self._backward(one))
        before = dict(vars(self.meter))

        def gradients() -> tuple[float, list[dict[str, float | None]]]:
            vars(self.meter).update(before)
            start = time.perf_counter()
            self.optimizer.zero_grad(set_to_none=True)
            return start, [
                self._backward(self._batch(self.step, micro))
                for micro in range(self.config.accumulation)
            ]

        start, batches = settled(gradients, self.processes.largest)
        self.processes.average_gradients(self.parameters)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip))
        rate = learning_rate(self.config, self.step)
        self._apply(norm, rate)
        self.step += 1
        seconds = time.perf_counter() - start
        self.cost.seconds += seconds * self.processes.count
        self.cost.steps += 1
        self.cost.images += images
        speed = {"images_per_second": images / seconds, "seconds": self.cost.seconds}
        return {
            "step": self.step,
            **self._means(batches),
            "gradient_norm": _finite(norm),
            "learning_rate": rate,
            "skipped": self.cost.skipped_steps,
            **speed,
        }

    def _batch(self, step: int, micro: int, most: int | None = None) -> _Batch:
        """A batch of a step, or only the first `most` samples of it."""
        if self.pairs is None:
            noise = self._place(self.draws.noise(step, micro)[:most])
            return _Batch(self.draws.prompts(step, micro)[:most], noise)
        prompts, noise, target = self.pairs.drawn(step, micro)
        return _Batch(prompts[:most], self._place(noise[:most]), self._place(target[:most]))

    def _backward(self, batch: _Batch) -> dict[str, float | None]:
        losses, change, reward = self._losses(batch)
        loss = losses.mean()
        torch.autograd.backward(loss / self.config.accumulation)  # the mean over all batches
        facts: dict[str, float | None] = {
            "loss": float(loss.detach()),
            "reward": None if reward is None else float(reward.detach().mean()),
        }
        return facts | _size_of(change, batch.noise)

    def _losses(self, batch: _Batch) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The losses `[B]`, the changes of the noises (None for a fine-tuning), and the rewards
        `[B]` (None for a regression, which makes no images).
        """
        conditioning = self.generator.encode(batch.prompts)
        if batch.target is not None and self.hypernetwork is not None:
            change = self.hypernetwork.displacement(batch.noise, conditioning)
            return regression_loss(change, batch.target), change, None
        images, moved = self._draw(batch.noise, conditioning)
        reward = self.reward.score(images, batch.prompts)
        if moved is not None:
            return self.objective(moved, reward), moved, reward
        return self._image_loss(images, batch.noise, conditioning) - reward, None, reward

    def _means(self, batches: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
        """The means of facts of batches over the batches and the processes."""
        found = {name: _mean([batch[name] for batch in batches]) for name in batches[0]}
        values = [math.nan if value is None else value for value in found.values()]
        totals = self.processes.sums(torch.tensor(values, dtype=torch.float64)).tolist()
        return {
            name: _finite(total / self.processes.count)
            for name, total in zip(found, totals, strict=True)
        }

    def _draw(self, noise: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor | None]:
        """Images, and the change of the noise that made them (None for a fine-tuning)."""
        if self.hypernetwork is None:
            return self.finetuned.generate(noise, conditioning), None
        change = self.hypernetwork.displacement(noise, conditioning)
        return self.generator.generate(noise + change, conditioning), change

    def _image_loss(self, images: Tensor, noise: Tensor, conditioning: Conditioning) -> Tensor:
        """The fine-tuning's penalty `[B]`: the mean squared distance to the base's image of the
        same noise.
        """
        if not self.config.image_penalty:
            return images.new_zeros(len(images))
        with torch.no_grad():
            base = self.generator.generate(noise, conditioning)
        return self.config.image_penalty * (images - base).square().flatten(1).mean(1)

    def _apply(self, norm: float, rate: float) -> None:
        """Step the optimizer; skip the step if the gradient is not finite."""
        if math.isfinite(norm):
            self.in_a_row = 0
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            return
        self.cost.skipped_steps += 1
        self.in_a_row += 1
        if self.in_a_row >= PATIENCE:
            raise UsageError(
                f"the gradient was not finite in {PATIENCE} steps in a row, up to step"
                f" {self.step + 1}: the training diverged; lower the learning rate"
                f" ({self.config.learning_rate:g}) or check the rewards"
            )

    def _place(self, noise: Tensor) -> Tensor:
        return noise.to(self.generator.device, self._noise_dtype)

    @property
    def _noise_dtype(self) -> torch.dtype:
        return torch.promote_types(self.generator.dtype, torch.float32)

    # Evaluation and log.

    def _record(self, record: dict[str, Any], progress: TrainingProgress | None) -> None:
        """Evaluate if it is due, and write the step to the log."""
        if self.step % self.config.eval_every == 0 or self.step == self.config.steps:
            record["evaluation"] = self._evaluate()
        if self.processes.main:
            self.folder.log(record)
        if progress:
            progress.stepped(record)
        if self._show and "evaluation" in record:
            self._show(self.step, self.evaluation.shown)

    def _add_work(self, kind: str, images: int, make: Callable[[], object]) -> None:
        """Add the floating-point operations of some images to the cost. `make` makes one of them,
        only to count its operations.
        """
        each = self.work.flops(kind, make)
        if self.cost.flops is not None:
            self.cost.flops = None if each is None else self.cost.flops + images * each

    def _evaluate(self) -> dict[str, Any]:
        images = len(self.evaluation.tasks)
        if self.evaluation.base_rewards is None:
            self._add_work("base", images, lambda: self.evaluation.make_one(self.evaluation.base))
        self._add_work("evaluated", images, lambda: self.evaluation.make_one(self._draw))
        before, base = dict(vars(self.meter)), self.evaluation.base_rewards

        def measured() -> tuple[float, dict[str, Any]]:
            vars(self.meter).update(before)
            self.evaluation.base_rewards = base
            return time.perf_counter(), self.evaluation.measure(self._draw)

        start, values = settled(measured, self.processes.largest)
        found = _all_finite(values)
        self.cost.seconds += (time.perf_counter() - start) * self.processes.count
        if self.config.kind in OF_NOISE:
            self.kept = {"step": self.step, **found}
        elif self.kept is None or _gain(found) > _gain(self.kept):
            self.kept, self.best = {"step": self.step, **found}, self.adapter.state_dict()
        return found

    def _pair_facts(self) -> dict[str, Any]:
        """The entry of the log about the pairs of a regression."""
        return {} if self.pairs is None else {"pairs": _all_finite(self.pairs.facts())}

    # State and result.

    def _manifest(self, prompts: Sequence[str]) -> dict[str, Any]:
        """The values that must be equal for a training to be the same training."""
        return {
            "schema": 1,
            "config": self.config.identity_values,
            "generator": {
                "name": self.generator.name,
                "fingerprint": self.generator.fingerprint,
                "dtype": str(self.generator.dtype),
            },
            "reward": self.reward.fingerprint,
            "prompts": digest(list(prompts)),
        }

    def _state(self, cost: Mapping[str, Any]) -> State:
        tensors = {
            "adapter": self.adapter.state_dict(),
            "optimizer": tensors_of(self.optimizer),
            "best": self.best,
        }
        base = self.evaluation.base_rewards
        rewards = None if base is None else [_finite(reward) for reward in base]
        values = {
            "cost": cost,
            "kept": self.kept,
            "base_rewards": rewards,
            "in_a_row": self.in_a_row,
        }
        return State(self.step, tensors, values)

    def _require_whole(self) -> None:
        """Check the finished adapter. It appears whole, so an incomplete one was damaged later."""
        try:
            check_whole(self.folder.adapter)
        except UsageError as error:
            raise StoreError(
                f"{error}; or remove {self.folder.adapter}, and the same command makes it again"
            ) from error

    def _restore(self) -> None:
        state = self.folder.load()
        if state is not None:
            try:
                self._take(state)
            except (MalformedError, UsageError) as error:
                raise self.folder.damaged(error) from error
        # Without a state the training starts over, and so does its log.
        self.folder.rewind(state.step if state else -1)

    def _take(self, state: State) -> None:
        """Continue from a state. One that does not fit this training is a `MalformedError` or a
        `UsageError`.
        """
        values = as_kind(state.values, _Values)
        if missing := {"adapter", "optimizer", "best"} - state.tensors.keys():
            raise MalformedError(f"it has no tensors of {min(missing)}")
        if values.base_rewards is not None and len(values.base_rewards) != len(
            self.evaluation.tasks
        ):
            raise MalformedError(
                f"it has {len(values.base_rewards)} rewards of the base, and"
                f" {len(self.evaluation.tasks)} are needed"
            )
        self.best = dict(state.tensors["best"])
        if bool(self.best) != (self.config.kind == "finetune" and values.kept is not None):
            raise MalformedError("its best weights are missing, or of another kind of training")
        if self.best:
            self.adapter.load_state_dict(self.best)  # only to check that these weights fit
        self.adapter.load_state_dict(state.tensors["adapter"])
        restore(self.optimizer, self.config.optimizer, self.parameters, state.tensors["optimizer"])
        base = values.base_rewards
        self.evaluation.base_rewards = (
            None if base is None else [math.nan if reward is None else reward for reward in base]
        )
        self.cost, self.in_a_row = values.cost, values.in_a_row
        for name in vars(self.meter):
            setattr(self.meter, name, getattr(values.cost, name))
        self.step, self.kept, self.saved = state.step, state.values["kept"], state.step

    def _finish(self) -> None:
        """Write the adapter, and delete the state, which is no longer needed."""
        if self.best:
            self.adapter.load_state_dict(self.best)
        cost = self._cost()
        self.processes.lead(lambda: self._write(cost))

    def _write(self, cost: Mapping[str, Any]) -> None:
        with writing(
            self.folder.adapter,
            "The state that was saved last is kept; then the same command continues.",
        ):
            save_adapter(
                self.folder.adapter,
                self.adapter,
                self.generator.backbone,
                self._description(cost),
                self.prompts,
            )
        self.folder.discard_state()

    def _cost(self) -> dict[str, Any]:
        """The training's cost so far, evaluations included (`TrainingCost`), of all processes."""
        counted = self.processes.sums(torch.tensor(list(vars(self.meter).values())))
        passes = dict(zip(vars(self.meter), counted.tolist(), strict=True))
        return {**msgspec.structs.asdict(self.cost), **passes}

    def _description(self, cost: Mapping[str, Any]) -> dict[str, Any]:
        generator = self.generator
        return {
            "kind": self.config.kind,
            "generator": {
                **self.manifest["generator"],
                "noise_shape": list(generator.noise_shape),
                "last_layer": generator.last_layer,
                "backbone": type(generator.backbone).__name__,
                **self.origin,
            },
            "config": self.config.as_dict(),
            "temperature": (
                self.objective.temperature if self.config.kind == "hypernoise" else None
            ),
            "parameters": sum(parameter.numel() for parameter in self.parameters),
            "training": {
                **cost,
                "device": _device_name(generator.device),
            },
            "evaluation": self.kept,
            "prompts": self.manifest["prompts"],
        }


_ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)(?:/[^@]*)?@([0-9a-f]{40})", re.ASCII)
"""A repository with its commit, and the file in it between them if there is one."""


def _origin_of(generator: Generator) -> dict[str, Any]:
    """The class of a pipeline, and the repository of its backbone. Folders stay private. `changed`
    says that the pipeline was put together from several places.
    """
    if not isinstance(generator, PipelineGenerator):
        return {}
    details = generator.details
    known = details.get(generator.backbone_part) or details.get("pipeline") or ""
    hub = _ON_THE_HUB.fullmatch(str(known))
    base = f"{hub[1]}@{hub[2]}" if hub else ""
    return {
        "base": base,
        "pipeline": generator.pipeline_class,
        **({"changed": True} if base != known or "lora" in details else {}),
        **({"sampler": details["sampler"]} if "sampler" in details else {}),
    }


def _size_of(change: Tensor | None, noise: Tensor) -> dict[str, float | None]:
    if change is None:
        return {"half_squared_norm": None, "relative_change": None}
    norm = change.detach().flatten(1).norm(dim=1)
    return {
        "half_squared_norm": float(0.5 * norm.square().mean()),
        "relative_change": float((norm / noise.flatten(1).norm(dim=1)).mean()),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _finite(sum(known) / len(known)) if known else None


def _gain(evaluation: Mapping[str, Any]) -> float:
    return -math.inf if evaluation["gain"] is None else float(evaluation["gain"])


def _finite(value: Any) -> Any:
    """None for NaN and infinity, which JSON does not have; any other value as it is."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _all_finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _finite(value) for name, value in values.items()}


def _difference(later: Mapping[str, Any], earlier: Mapping[str, Any]) -> TrainingCost:
    """The cost between two states of the same training."""
    spent: dict[str, Any] = {
        name: None if value is None else value - earlier[name] for name, value in later.items()
    }
    return TrainingCost(**spent)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
