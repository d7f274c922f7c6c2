"""One of several processes that train together: `python -m tests.hypernetwork.rank WORK FOLDER`,
with the environment that a launcher makes. What it saw goes into FOLDER/<work>-<rank>.json.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hnbench.errors import HnbenchError
from hnbench.files.locking import locked
from hnbench.guards.interrupts import Terminated, heed_sigterm
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.launch import launched
from hnbench.hypernetwork.processes import Processes, joined
from hnbench.hypernetwork.trainer import Trainer
from hnbench.rewards.base import Mixture, Reward
from tests.hypernetwork.tiny import PROMPTS, REGRESSION, UNetGenerator, config, search_of

SIZE = {"rank": 2, "eval_prompts": 2, "eval_samples": 3, "save_every": 2, "steps": 5}
PLANS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adamw": {
        "optimizer": "adamw",
        "noise": "batch",
        "accumulation": 2,
        "schedule": "cosine",
        "warmup_steps": 2,
        "learning_rate": 0.01,
    },
    "finetune": {"kind": "finetune", "image_penalty": 0.5, "eval_every": 1},
    "regression": {**REGRESSION, "pairs": 9, "optimizer": "adamw", "learning_rate": 0.01},
    "skipping": {"rewards": {"torn": 1.0}},
}
"""Trainings that one process and two must do alike."""


class TornReward(Reward):
    """The mean of the image, but not a number for one of the prompts."""

    name = "torn"
    fingerprint = "torn"

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        torn = torch.tensor([math.nan if prompt == PROMPTS[3] else 1.0 for prompt in prompts])
        return images.mean((1, 2, 3)) * torn


class Bright(Reward):
    """A reward that is not the same for all prompts."""

    name = "brightness"
    fingerprint = "bright"

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return images.square().mean((1, 2, 3)) * torch.tensor([len(one) for one in prompts])


REWARDS = {"torn": TornReward, "brightness": Bright}


def plan_of(name: str) -> TrainingConfig:
    return config(**{**SIZE, **PLANS[name]})


def trainer(
    plan: TrainingConfig,
    folder: Path,
    processes: Processes | None = None,
    prompts: Sequence[str] = PROMPTS,
) -> Trainer:
    """A training in float64, so that rounding hides nothing."""
    (name,) = plan.rewards
    generator = UNetGenerator(torch.float64)
    mixture = Mixture({name: (REWARDS[name](), 1.0)})
    return Trainer(plan, generator, mixture, prompts, folder, processes, search_of(plan))


class At:
    """Does something at a step."""

    def __init__(self, step: int, act: Callable[[], None]) -> None:
        self.step, self.act, self.shown = step, act, 0

    def started(self, step: int, total: int) -> None:
        """Nothing happens yet."""

    def stepped(self, record: Mapping[str, Any]) -> None:
        self.shown += 1
        if record["step"] == self.step:
            self.act()


def interrupt_at(pairs: int) -> Callable[[int, int], None]:
    """A receiver of pairs that interrupts when so many have been made."""

    def show(made: int, _total: int) -> None:
        if made == pairs:
            interrupt()

    return show


def interrupt() -> None:
    raise KeyboardInterrupt


class Work:
    """What one process does with the others."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder, self.processes = folder, processes
        self.seen: dict[str, Any] = {}

    def together(self) -> None:
        """All that the processes can do one after the other."""
        for name in PLANS:
            one = trainer(plan_of(name), self.folder / name, self.processes)
            one.train()
            self.seen[f"weights of {name}"] = {
                key: value.tolist() for key, value in one.adapter.state_dict().items()
            }
        trainer(plan_of("adamw"), self.folder / "one, then two", self.processes).train()
        begun = self.folder / "pairs of one, then two"
        trainer(plan_of("regression"), begun, self.processes).train()
        with _noted(self.seen, "stopped"):
            stopped = trainer(plan_of("adamw"), self.folder / "two, then one", self.processes)
            stopped.train(At(3, interrupt))
        self.signalled()
        self.refusals()
        self.exchanges()

    def signalled(self) -> None:
        """The second process alone gets a signal."""
        act = (lambda: None) if self.processes.main else _terminate
        with _noted(self.seen, "signalled"):
            trainer(plan_of("sgd"), self.folder / "signalled", self.processes).train(At(3, act))

    def refusals(self) -> None:
        """Trainings that cannot begin."""
        one = self.processes.main
        with _noted(self.seen, "different"):
            others = PROMPTS if one else PROMPTS[1:]
            trainer(plan_of("sgd"), self.folder / "other", self.processes, others).train()
        with _noted(self.seen, "uneven"):
            trainer(config(batch_size=3, accumulation=4), self.folder / "odd", self.processes)
        with _noted(self.seen, "in use"):
            if one:
                with locked(self.folder / "locked"):
                    trainer(plan_of("sgd"), self.folder / "locked", self.processes).train()
            trainer(plan_of("sgd"), self.folder / "locked", self.processes).train()
        with _noted(self.seen, "finished"):
            trainer(plan_of("sgd"), self.folder / "sgd", self.processes).train()

    def exchanges(self) -> None:
        """Gradients of which some are in one process only, or in none."""
        own = self.processes.launch.index
        parameters = [torch.nn.Parameter(torch.zeros(2, dtype=kind)) for kind in _KINDS]
        for number, parameter in enumerate(parameters):
            if number != 3 and (number, own) != (2, 0):
                parameter.grad = torch.full_like(parameter, 1.0 + own + number)
        self.processes.average_gradients(parameters)
        self.seen["averages"] = [
            None if one.grad is None else [str(one.grad.dtype), *one.grad.tolist()]
            for one in parameters
        ]

    def killed(self) -> None:
        """The second process is killed in the middle."""
        reached: list[float] = []
        act = (lambda: reached.append(time.monotonic())) if self.processes.main else _kill
        with _noted(self.seen, "killed"):
            trainer(plan_of("adamw"), self.folder / "killed", self.processes).train(At(3, act))
        self.seen["seconds"] = time.monotonic() - reached[0]


_KINDS = (torch.float32, torch.bfloat16, torch.float64, torch.float32)


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _noted(seen: dict[str, Any], what: str) -> Any:
    try:
        yield
    except (HnbenchError, Terminated, KeyboardInterrupt) as error:
        seen[what] = f"{type(error).__name__}: {error}"
    else:
        seen[what] = ""


def start(work: str, folder: Path, count: int = 2) -> list[dict[str, Any] | None]:
    """Let processes do this work together; returns what each saw, None for one that was killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.hypernetwork.rank", work, str(folder)]
    started = [
        subprocess.Popen(command, env=environment | {"RANK": str(rank)}, cwd=_ROOT)
        for rank in range(count)
    ]
    try:
        for one in started:
            one.wait(timeout=240)
    finally:
        for one in started:
            one.kill()
            one.wait()
    found = [folder / f"{work}-{rank}.json" for rank in range(count)]
    return [json.loads(path.read_text()) if path.exists() else None for path in found]


_ROOT = Path(__file__).parents[2]


def main() -> None:
    work, folder = sys.argv[1], Path(sys.argv[2])
    heed_sigterm()
    launch = launched()
    with joined(launch, "cpu") as processes:
        doing = Work(folder, processes)
        getattr(doing, work)()
        (folder / f"{work}-{launch.index}.json").write_text(json.dumps(doing.seen))


if __name__ == "__main__":
    main()
