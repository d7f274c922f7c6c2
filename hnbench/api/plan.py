"""`hnbench.plan`: what a run will take, before it begins."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import filesize

from hnbench.api.arguments import DIVISION, device_of, require_processes
from hnbench.api.arrangement import arrange, methods_of
from hnbench.api.batch_sizes import as_begun
from hnbench.api.expectation import expected_work
from hnbench.api.needs import BYTES_PER_PIXEL, adapter_is_cached, downloads, image_size
from hnbench.api.operations import KnownOperations, operations_of_run
from hnbench.api.pilot import power_by_pilot
from hnbench.api.run import experiment_of, run
from hnbench.display.pace import span
from hnbench.display.screen import Screen
from hnbench.errors import UsageError
from hnbench.reports.costs import TFLOPS, with_unit
from hnbench.runs.frame import PASSES
from hnbench.runs.journals import JournalReader
from hnbench.runs.manifest import MANIFEST
from hnbench.runs.plan import planned_prompts
from hnbench.runs.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from hnbench.api.arrangement import Arrangement
    from hnbench.api.needs import NeededDownload
    from hnbench.methods.base import Method
    from hnbench.reports.power import PairPower
    from hnbench.runs.trial import Trial
    from hnbench.runs.workload import MethodWork, Workload

COUNTED = (
    "images",
    "done",
    f"{PASSES}generator_forward",
    f"{PASSES}generator_backward",
    f"{PASSES}reward_forward",
    f"{PASSES}reward_backward",
)
"""The columns that are known without loading anything, if the methods announce their passes."""
COLUMNS = (
    *COUNTED,
    "flops",
    "seconds_per_image",
    "seconds",
    "seconds_left",
    "peak_memory_bytes",
)
TOTAL = "total"


@dataclass(frozen=True)
class RunPlan:
    """The work of a run and what it needs."""

    folder: Path
    """The run's folder; it need not exist."""
    work: Workload
    downloads: tuple[NeededDownload, ...]
    """The files that do not come with hnbench; empty if nothing is needed."""
    image_size: int | None
    """Width and height of the images in pixels; None if only the loaded generator knows."""
    trial: Trial | None
    """The measured costs; None if no trial was asked for."""
    processes: int
    """The number of processes that share the run, each with a device of its own."""
    prompts: int
    operations: KnownOperations = field(default_factory=lambda: KnownOperations({}, {}))
    """The operations that are known without a trial."""
    notes: tuple[str, ...] = ()
    """Sentences about the work that is not known, and the reasons."""
    power: tuple[PairPower, ...] = ()
    """The power for a difference, for every two rows of the pilot; empty if none was asked for."""

    @property
    def bytes_per_image(self) -> float | None:
        """The size of a PNG file: measured, or by rule (`BYTES_PER_PIXEL`). None if the size of the
        images is unknown.
        """
        if self.trial:
            return self.trial.bytes_per_image
        return None if self.image_size is None else self.image_size**2 * BYTES_PER_PIXEL

    @property
    def seconds_left(self) -> float | None:
        """The time for what is left, on one device; None without a trial."""
        return None if self.trial is None else self._sum("seconds_left")

    @property
    def seconds_left_together(self) -> float | None:
        """The time for what is left if `processes` share the prompts: that of the process with the
        most prompts. Loading the models is not included.
        """
        left = self.seconds_left
        share = -(-self.prompts // self.processes) / self.prompts
        return None if left is None else left * share

    def sentences(self) -> tuple[str, ...]:
        """The work in all, operations, downloads, disk and time, one sentence each."""
        found = [
            f"{self.work.sentence()} in {self.folder}",
            *self.notes,
            self._operations(),
            self._downloads(),
            self._disk(),
            self._time(),
        ]
        return tuple(sentence for sentence in found if sentence)

    def _operations(self) -> str:
        if self.trial is None:
            return self.operations.sentence(self.work)
        total = self._sum("flops")
        return (
            "" if total is None else f"operations: {with_unit(TFLOPS, total / 1e12)}, as measured"
        )

    def _downloads(self) -> str:
        missing = [one for one in self.downloads if not one.cached]
        if not missing:
            return "downloads: nothing"
        listed = ", ".join(
            f"{one.name} {'unknown' if one.bytes is None else filesize.decimal(one.bytes)}"
            for one in missing
        )
        return f"downloads, at most: {listed}"

    def _disk(self) -> str:
        each = self.bytes_per_image
        if each is None:
            return "disk: unknown, because the size of the images is"
        rule = (
            "as measured"
            if self.trial
            else f"at {BYTES_PER_PIXEL} bytes a pixel, which a photograph takes as PNG"
        )
        all_of_it = filesize.decimal(round(each * self.work.images))
        left = filesize.decimal(round(each * self.work.images_left))
        return (
            f"disk: {all_of_it}, {left} of it still to be written"
            f" ({filesize.decimal(round(each))} an image, {rule})"
        )

    def _time(self) -> str:
        if self.trial is None or self.seconds_left is None:
            return ""
        return (
            f"time for what is left: {span(self.seconds_left)} on one {self.trial.device}"
            + (
                f", {span(self.seconds_left_together)} on {self.processes}"
                if self.processes > 1 and self.seconds_left_together is not None
                else ""
            )
            + ", without loading the models"
        )

    def frame(self) -> pd.DataFrame:
        """One row per method, and one for the total, with the columns `COLUMNS`.

        Passes, `flops` (measured, or else counted in advance) and `seconds` are those of the whole
        run; `seconds_left` is without what is done, and `seconds_per_image` is per (prompt, sample)
        of the method. A number that is not known is missing, and so is a total over it.
        """
        import pandas as pd

        rows = {work.name: self._row(work) for work in self.work.methods}
        total = {name: _sum(rows, name) for name in COLUMNS} | {
            "seconds_per_image": None,
            "peak_memory_bytes": max(_known(rows, "peak_memory_bytes"), default=None),
        }
        values = pd.DataFrame([*rows.values(), total], columns=list(COLUMNS), dtype="float64")
        return values.set_index(pd.Index([*rows, TOTAL], name="method"))

    def _sum(self, name: str) -> float | None:
        return _sum({work.name: self._row(work) for work in self.work.methods}, name)

    def _row(self, work: MethodWork) -> dict[str, float | None]:
        cost = self.trial.costs.get(work.name) if self.trial else None
        counted = cost or work.passes
        passes: dict[str, float | None] = {
            name: getattr(counted, name.removeprefix(PASSES)) * work.tasks if counted else None
            for name in COLUMNS
            if name.startswith(PASSES)
        }
        row: dict[str, float | None] = dict.fromkeys(COLUMNS)
        row |= {"images": work.images, "done": work.images - work.images_left, **passes}
        if cost is None or self.trial is None:
            known = self.operations.per_task.get(work.name)
            return row | {"flops": None if known is None else known * work.tasks}
        each = self.trial.seconds_per_image
        return row | {
            "flops": None if cost.flops is None else cost.flops * work.tasks,
            "seconds_per_image": cost.seconds + each * len(work.labels),
            "seconds": cost.seconds * work.tasks + each * work.images,
            "seconds_left": cost.seconds * work.tasks_left + each * work.images_left,
            "peak_memory_bytes": cost.peak_memory_bytes,
        }


def _known(rows: Mapping[str, Mapping[str, float | None]], name: str) -> list[float]:
    return [value for row in rows.values() if (value := row[name]) is not None]


def _sum(rows: Mapping[str, Mapping[str, float | None]], name: str) -> float | None:
    known = _known(rows, name)
    return sum(known) if len(known) == len(rows) else None


def plan(
    suite: str,
    *,
    measure: bool = False,
    processes: int = 1,
    detect: float | None = None,
    pilot: str | Path | None = None,
    progress: bool = True,
    **asked: Any,
) -> RunPlan:
    """Tell what a run will take: images, passes, operations, downloads and disk, by method and in
    all.

    The parameters are those of `hnbench.run`, without `shard`, `gpus` and `processes`. Nothing is
    loaded or downloaded, except for an adapter or the prompts of a suite; if these prompts cannot
    be downloaded, their published numbers are used. What the run's folder already has is counted as
    done.

    With `measure`, the models are loaded, every method makes two batches in a temporary folder, and
    the second is measured: seconds, memory, and what saving and judging take. `processes` share the
    run evenly, each with a device of its own.

    With `detect`, the plan has its `power`: the smallest differences in the overall score that the
    run can tell from zero, and the seeds or prompts that a difference of `detect` needs. They
    follow from the spread in a `pilot`, the folder of a finished run of the same suite; by default,
    what is in the run's own folder.

    Raises `UsageError` for arguments that cannot be used, `StoreError` for a damaged folder, and
    `SampleFailure` if a sample of the trial fails.
    """
    require_processes(processes)
    if pilot is not None and detect is None:
        raise UsageError(
            f"the pilot {pilot} is only read for `detect`, which was not given; add the difference"
            " to detect, for example `detect` 0.02, or leave `pilot` out"
        )
    with Screen(shown=progress) as screen:
        wanted = as_begun(arrange(screen, suite, **asked, texts=measure), WHOLE)
        screen.announce("loading torch")
        methods = _methods(wanted)
        work = expected_work(wanted, methods, JournalReader(wanted.folder))
        prompts = planned_prompts(wanted.config, wanted.suite)
        # Before the models are loaded: a pilot that cannot be used costs nothing.
        power = () if detect is None else power_by_pilot(detect, pilot, wanted, prompts)
        trial = _trial(wanted, screen) if measure else None
    if trial:
        work = replace(work, methods=tuple(one for one in work.methods if one.name in trial.costs))
    return RunPlan(
        wanted.folder,
        work,
        downloads(wanted),
        image_size(wanted),
        trial,
        processes,
        len(prompts),
        operations_of_run(wanted, methods),
        _notes(wanted),
        power,
    )


def _with_parameters_of_run(signature: inspect.Signature) -> inspect.Signature:
    """The signature of `plan` with the parameters of `hnbench.run` in place of `asked`."""
    own = {name: one for name, one in signature.parameters.items() if name != "asked"}
    parameters = inspect.signature(run).parameters
    theirs = [one for name, one in parameters.items() if name not in {*own, *DIVISION}]
    first, *others = own.values()
    return signature.replace(parameters=[first, *theirs, *others])


plan.__signature__ = _with_parameters_of_run(inspect.signature(plan))  # type: ignore[attr-defined]


def _notes(wanted: Arrangement) -> tuple[str, ...]:
    """Sentences about the work that is unknown without the texts of the prompts."""
    if not wanted.missing:
        return ()
    notes = [f"prompts: their published numbers, without their texts: {wanted.missing}"]
    if (wanted.folder / MANIFEST).exists():
        notes.append(
            f"done: unknown, because the records in {wanted.folder} are recognised by their"
            " prompts; nothing counts as done here"
        )
    return tuple(notes)


def _methods(wanted: Arrangement) -> tuple[Method, ...]:
    """The methods. What they announce does not need their adapters, so nothing is downloaded."""
    adapters = {
        kind: adapter if isinstance(adapter, Path) or adapter_is_cached(adapter) else Path(adapter)
        for kind, adapter in wanted.adapters.items()
    }
    return methods_of(wanted, adapters)


def _trial(wanted: Arrangement, screen: Screen) -> Trial:
    """Load the models, and try them out."""
    device = device_of(wanted.config.device, screen)

    from hnbench.runs.trial import try_out

    wanted = replace(wanted, config=replace(wanted.config, device=device))
    methods = methods_of(wanted)
    experiment = experiment_of(wanted, methods, screen)
    screen.announce("measuring two batches of each method")
    return try_out(experiment, screen.run())
