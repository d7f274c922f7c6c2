"""`hnbench.measure`: diversity, fidelity and other measures of images that lie in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.api.arguments import Several, device_of, several
from hnbench.api.batch_sizes import BatchSize, parse_batch_size
from hnbench.catalogue import registry, specifications
from hnbench.catalogue.presets import preset_of
from hnbench.display.screen import Screen
from hnbench.errors import UsageError
from hnbench.runs.shards import Shard, place_of_process

if TYPE_CHECKING:
    import pandas as pd

    from hnbench.images.inventory import Inventory
    from hnbench.images.measuring import Measured
    from hnbench.runs.store import Run


@dataclass(frozen=True)
class MeasuredImages:
    """The values measured on a folder's images."""

    path: Path
    """The journal with every value."""
    inventory: Inventory
    measured: tuple[Measured, ...]
    """One for each measure, in the order asked for."""
    base: str | None
    """The label that all others of a run are compared with; None if the images are not a run's."""
    shard: Shard
    """The part of the values that this call computed."""

    @property
    def missing(self) -> int:
        """The number of (measure, label) pairs that lack values, because other shards measure
        them.
        """
        return sum(len(one.missing) for one in self.measured)

    @property
    def new(self) -> int:
        """The number of images measured now; the values of all others were known."""
        return sum(one.new for one in self.measured)

    def frame(self) -> pd.DataFrame:
        """One row per measure, label and prompt with the mean `value`. A measure of sets has one
        row per label, with an empty prompt.
        """
        import pandas as pd

        return pd.DataFrame(
            [row for one in self.measured for row in _rows(one)],
            columns=["measure", "label", "prompt_id", "value"],
        )


def _rows(one: Measured) -> list[tuple[str, str, str, float]]:
    name = one.definition.measure
    values = [
        (name, label, prompt, sum(found) / len(found))
        for label, by_prompt in one.values.items()  # noqa: PD011 - a mapping, not pandas
        for prompt, found in by_prompt.items()
    ]
    return values + [(name, label, "", found.value) for label, found in one.distances.items()]


def measure(
    folder: Run | str | Path,
    *,
    measure: Several = None,
    suite: str | None = None,
    quick: bool = False,
    partial: bool = False,
    label: Several = None,
    batch_size: BatchSize = "auto",
    device: str = "auto",
    out: str | Path | None = None,
    shard: str | None = None,
    progress: bool = True,
) -> MeasuredImages:
    """Measure existing images: diversity, fidelity, and other values that no method saw.

    In a run, every label is compared with the base, which is always measured. The same call again
    computes only what is missing, and `hnbench.report` shows the values of a run.
    `hnbench measure --help` describes the parameters. `shard` is a part of the labels of all
    measures, such as `"2/3"`, for several processes on one folder (see docs/scale.md).

    Raises `UsageError` for a folder or a measure that cannot be used, before anything is measured;
    `SampleFailure` if a measure fails for some images, with all other values kept.
    """
    with Screen(shown=progress) as screen:
        process = place_of_process(shard, os.environ)
        for note in process.notes:
            screen.note(note)
        names, size = _known(several(measure)), parse_batch_size(batch_size)

        from hnbench.images.finding import find_images, place_of

        place = place_of(folder)
        names = names or _of_preset(place)
        chosen_device = device_of(device, screen, process.local_rank)

        # Heavy imports come only after wrong arguments have been refused.
        from hnbench.images.batch_sizes import fitting_measure
        from hnbench.images.layouts.run import base_of
        from hnbench.images.measuring import Measurer
        from hnbench.measures.journal import FOLDER, open_journal
        from hnbench.runs.store import Run

        base = base_of(place) if isinstance(place, Run) else None
        # The base is measured in any case: all other labels are compared with it.
        labels = [base, *several(label)] if several(label) and base else several(label)
        chosen_suite = specifications.make_suite(suite) if suite else None
        found = find_images(place, chosen_suite, quick=quick, labels=labels)
        target = found.folder / FOLDER if out is None else Path(out)
        part = process.shard
        with screen.stages() as display:
            found = found.usable(display, partial=partial)
            with open_journal(target, (part.index, part.count)) as journal:
                measurer = Measurer(
                    found,
                    journal,
                    base=base,
                    batch_size=(
                        (lambda one, image: fitting_measure(one, image, chosen_device))
                        if size == "auto"
                        else size
                    ),
                    progress=display,
                    shard=part,
                )
                results = [measurer.measure(_load(name, chosen_device, screen)) for name in names]
                if not part.whole:
                    journal.refresh()
                measured = tuple(map(measurer.known, results))
        return MeasuredImages(journal.path, found, measured, base, part)


def _known(typed: tuple[str, ...]) -> tuple[str, ...]:
    """The measures that were named, each once; an unknown name is a `UsageError`."""
    for name in typed:
        registry.MEASURES.entry(name)
    return tuple(dict.fromkeys(typed))


def _of_preset(place: Run | Path) -> tuple[str, ...]:
    """The measures of the preset of a run's generator."""
    if isinstance(place, Path):
        raise UsageError(
            f"{place} is not a run folder; for other images, name the measures with `measure`"
        )
    return _known(preset_of(place.manifest["config"]["generator"]).measures)


def _load(name: str, device: str, screen: Screen) -> Any:
    screen.announce(f"loading {name}")
    return registry.MEASURES.get(name)(device)
