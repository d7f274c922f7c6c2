"""The cost of the harness: the time of a whole run over that of a bare loop of the same passes.

    python -m benchmarks.overhead --candidates 16 --limit 12 --repeats 5

A run of `random` and best-of-n is recorded once: every generator and reward pass with its batch
size. Then the run and a bare replay of its passes alternate in one process. Each run is made in a
new folder, with all its work: images are compressed, flushed to the disk and judged, and journals
are written. Each repeat ends with a line on stderr. The result is the ratio of wall times: the
median, the smallest and the largest of the repeats.

    run_over_bare        the whole run over all its passes; passes that warm up or count operations
                         are the harness's own; 1.05 is the target
    propose_over_bare    the seconds that the run reports for its methods, over the passes of the
                         methods
    judge_share          the judge's seconds over the run's; they are a part of run_over_bare that
                         the harness cannot save

The defaults (which the command above spells out) take two minutes on two cores. A warm-up is one
batch, and a count one task of each method, so the fewer batches a run has, the larger their share:
`--limit 42`, the prompts of the quick protocol, takes six minutes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from benchmarks.pairs import machine, options, spread
from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.registry import GENERATORS, REWARDS, SUITES
from hnbench.config import RunConfig
from hnbench.display.screen import Silent
from hnbench.generators.base import Conditioning, Generator
from hnbench.metering import MeteredGenerator, MeteredReward
from hnbench.methods.base import Method, Outcome
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.random import Random
from hnbench.rewards.base import Mixture, Reward
from hnbench.runs.attempt import Models, Proposer
from hnbench.runs.execute import execute
from hnbench.runs.experiment import Experiment
from hnbench.runs.preparation import prepare
from hnbench.runs.store import RunStore, read_run
from hnbench.seeds import NoiseSource
from hnbench.suites.base import Suite
from hnbench.tasks import Task

Call = tuple[str, str, int]
"""The phase (`"propose"` or `"measure"`), the called model (`"generate"` or a reward's name) and
the batch size.
"""


class Tape:
    """The passes of a run, in order."""

    def __init__(self) -> None:
        self.phase, self.running = "measure", True
        self.calls: list[Call] = []

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Note calls in this block under this phase; those of the phase `"warm-up"` are not
        kept.
        """
        before, self.phase = self.phase, phase
        yield
        self.phase = before

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Note nothing."""
        before, self.running = self.running, False
        yield
        self.running = before

    def note(self, model: str, size: int) -> None:
        """Note one pass of a batch."""
        if self.running:
            self.calls.append((self.phase, model, size))


class TapedGenerator(MeteredGenerator):
    """A generator whose batches are noted."""

    def __init__(self, generator: Generator, tape: Tape) -> None:
        super().__init__(generator, mock.Mock())
        self.tape = tape

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        self.tape.note("generate", len(noise))
        return super().generate(noise, conditioning, steps)


class TapedReward(MeteredReward):
    """A reward whose batches are noted."""

    def __init__(self, reward: Reward, tape: Tape) -> None:
        super().__init__(reward, mock.Mock())
        self.tape = tape

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        self.tape.note(self.name, len(images))
        return super().score(images, prompts)


class TapedMethod(Method):
    """A method whose passes are noted as its own."""

    def __init__(self, method: Method, tape: Tape) -> None:
        self.name, self.method, self.tape = method.name, method, tape

    @property
    def labels(self) -> tuple[str, ...]:
        return self.method.labels

    def identity(self) -> dict[str, Any]:
        return self.method.identity()

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        with self.tape.during("propose"):
            yield from self.method.propose(tasks, generator, reward, noises)


class Bench:
    """The models, suite and methods of the measured run."""

    def __init__(
        self,
        config: RunConfig,
        suite: Suite,
        generator: Generator,
        rewards: Sequence[tuple[Reward, float]],
        methods: Sequence[Method],
    ) -> None:
        """Rewards of weight 0 are held out."""
        self.config, self.suite, self.generator, self.rewards, self.methods = (
            config,
            suite,
            generator,
            rewards,
            methods,
        )

    def run(self, folder: Path, tape: Tape | None = None) -> float:
        """Execute the run in a folder. Returns its wall time in seconds."""
        rewards = [
            (TapedReward(reward, tape) if tape else reward, weight)
            for reward, weight in self.rewards
        ]
        generator = TapedGenerator(self.generator, tape) if tape else self.generator
        methods = [TapedMethod(method, tape) for method in self.methods] if tape else self.methods
        with RunStore(folder) as store:
            started = time.perf_counter()
            experiment = Experiment(
                self.config,
                self.suite,
                generator,
                Mixture({reward.name: (reward, weight) for reward, weight in rewards if weight}),
                [reward for reward, weight in rewards if not weight],
                prepare(methods, generator, {}),
            )
            summary = execute(experiment, store, Silent())
            seconds = time.perf_counter() - started
        assert summary.done == summary.expected, "the run has failed samples"
        return seconds

    def record(self, folder: Path) -> list[Call]:
        """The passes of the run, without those that warm up and that count operations."""
        tape = Tape()

        def unrecorded(work: Callable[..., Any]) -> Callable[..., Any]:
            def stopped(*arguments: Any) -> Any:
                with tape.stopped():
                    return work(*arguments)

            return stopped

        with (
            mock.patch.object(Models, "warm_up", unrecorded(Models.warm_up)),
            mock.patch.object(Proposer, "flops_of", unrecorded(Proposer.flops_of)),
        ):
            self.run(folder, tape)
        return tape.calls

    @torch.no_grad()
    def replay(self, calls: Sequence[Call]) -> dict[str, float]:
        """Phase -> the wall time in seconds of the same passes and nothing else."""
        largest = max(size for _, _, size in calls)
        prompts = [prompt.text for prompt in self.suite.prompts()]
        prompts = (prompts * (largest // len(prompts) + 1))[:largest]
        noise = torch.randn(largest, *self.generator.noise_shape, device=self.generator.device)
        conditioning = self.generator.encode(prompts)
        images = self.generator.generate(noise, conditioning)
        rewards = {reward.name: reward for reward, _ in self.rewards}
        for reward in rewards.values():
            reward.score(images, prompts)
        seconds = {"propose": 0.0, "measure": 0.0}
        self._wait()
        for phase, model, size in calls:
            started = time.perf_counter()
            if model == "generate":
                self.generator.generate(noise[:size], conditioning[:size])
            else:
                rewards[model].score(images[:size], prompts[:size])
            self._wait()
            seconds[phase] += time.perf_counter() - started
        return seconds

    def _wait(self) -> None:
        if self.generator.device.type == "cuda":
            torch.cuda.synchronize(self.generator.device)

    def judge_seconds(self, folder: Path) -> float:
        """The wall time in seconds of judging a run's images. Equal images of a prompt are judged
        once, except that the base is judged by itself, as in a run.
        """
        metadata = {prompt.id: prompt.metadata for prompt in self.suite.prompts()}
        records = {
            (record.prompt_id, record.label == "random", record.image.sha256): record
            for record in read_run(folder).records
            if record.image
        }
        images = [
            Image.open(folder / record.image.path).convert("RGB")
            for record in records.values()
            if record.image
        ]
        judge = self.suite.judge()
        assert judge is not None
        started = time.perf_counter()
        judge.judge(images, [metadata[record.prompt_id] for record in records.values()])
        return time.perf_counter() - started


def propose_seconds(folder: Path, methods: Sequence[Method]) -> float:
    """The seconds that a run reports for its methods. Only the last label of a method counts,
    because it needs all of the method's work.
    """
    last = {method.labels[-1] for method in methods}
    return sum(record.cost.seconds for record in read_run(folder).records if record.label in last)


def measure(bench: Bench, repeats: int) -> dict[str, Any]:
    """Alternate runs and replays `repeats` times, after one of each. Each repeat ends with a line
    on stderr.
    """
    # Lines are printed between the timings. A progress bar would be drawn while the models run.
    console = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory() as scratch:
        calls = bench.record(Path(scratch) / "recorded")
        bench.replay(calls)
        console.print(f"recorded {len(calls)} passes")
        runs, proposals, bares, judging = [], [], [], []
        for repeat in range(repeats):
            folder = Path(scratch) / str(repeat)
            bare_first = [bench.replay(calls)] if repeat % 2 else []
            runs.append(bench.run(folder))
            bares.append((bare_first or [bench.replay(calls)])[0])
            proposals.append(propose_seconds(folder, bench.methods))
            judging.append(bench.judge_seconds(folder))
            console.print(
                f"repeat {repeat + 1} of {repeats}: the run {runs[-1]:.1f} s, its passes"
                f" {sum(bares[-1].values()):.1f} s"
            )
    return {
        "run_over_bare": spread(
            [run / sum(bare.values()) for run, bare in zip(runs, bares, strict=True)]
        ),
        "propose_over_bare": spread(
            [proposal / bare["propose"] for proposal, bare in zip(proposals, bares, strict=True)]
        ),
        "judge_share": spread([judged / run for judged, run in zip(judging, runs, strict=True)]),
        "run_seconds": spread(runs),
        "passes": len(calls),
        "images_through_the_generator": sum(
            size for _, model, size in calls if model == "generate"
        ),
    }


def main() -> None:
    """Load the models, measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--generator", default="shapes")
    parser.add_argument("--suite", default="geneval-shapes")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    chosen = parser.parse_args()

    preset = preset_of(chosen.generator)
    config = RunConfig(
        suite=chosen.suite,
        generator=chosen.generator,
        optimised=dict(preset.optimised),
        held_out=preset.held_out,
        methods=("random", f"best-of-n:n={chosen.candidates}"),
        limit=chosen.limit,
        batch_size=chosen.batch_size,
        device=chosen.device,
    )
    weights = {**config.optimised, **dict.fromkeys(config.held_out, 0.0)}
    rewards = [
        (REWARDS.get(name)(device=chosen.device, dtype=config.dtype), weight)
        for name, weight in weights.items()
    ]
    generator = GENERATORS.get(chosen.generator)(device=chosen.device, dtype=config.dtype)
    bench = Bench(
        config,
        SUITES.get(chosen.suite)(),
        generator,
        rewards,
        [Random(), BestOfN(n=chosen.candidates)],
    )
    result = {
        **vars(chosen),
        **machine(chosen.device),
        **measure(bench, chosen.repeats),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
