"""Merges what `hnbench.score` and `hnbench.measure` stored in the folders of one run's parts.

Each folder of verdicts or of measures that a part has becomes one of the merged run, with a single
journal of all lines. The part with the most lines comes last, because the last definition of a
measure is the one that a report shows; so the result does not depend on the order of the parts.
Files that are written from the verdicts, such as `scores.json`, are not merged: `hnbench.score`
writes them for the whole run, without judging an image twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hnbench.errors import StoreError
from hnbench.files.hashing import sha256_of
from hnbench.files.journal import files_of, read_lines, sealed
from hnbench.files.sharing import part_locked
from hnbench.files.writing import write_whole, writing
from hnbench.images.verdict_journal import NAME as VERDICTS
from hnbench.images.verdict_journal import PREFIX, parse_verdict
from hnbench.measures.journal import FOLDER, REFERENCE, Definition, MeasureReader
from hnbench.measures.journal import NAME as MEASURES
from hnbench.runs.store import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hnbench.measures.journal import Images, Kind, MeasureRow

    Claim = tuple[object, str, object]
    """A key that is equal for the same thing, the thing in words, and its value."""


@dataclass(frozen=True)
class _Line:
    key: object
    """The merged journal has one of the lines with the same key."""
    content: bytes
    """The line with its check value and its end."""
    claims: tuple[Claim, ...]
    """The values that no other part may have differently; empty for a definition."""


@dataclass(frozen=True)
class _Source:
    folder: Path
    lines: list[_Line]

    @property
    def place(self) -> tuple[int, str]:
        """Its place among the sources: by the number of lines, then by their content."""
        return len(self.lines), sha256_of(b"".join(line.content for line in self.lines))


def check_results(parts: Sequence[Path], out: Path) -> None:
    """Refuse parts of which two have different values of the same thing, or a damaged journal
    (`StoreError`). Nothing is written.
    """
    for name in _names(parts):
        _joined(_sources(name, [*parts, out]))


def merge_results(parts: Sequence[Path], out: Path) -> int:
    """Merge the verdicts and measured values of the parts into the run folder `out`, which may have
    some itself. Returns the number of lines with values that are new there.

    `StoreError` as in `check_results`, and if a folder in `out` is in use or cannot be written to.
    """
    return sum(_merge(name, parts, out) for name in _names(parts))


def _names(parts: Iterable[Path]) -> list[str]:
    """The names of the parts' folders with verdicts or measures."""
    journals = [
        journal
        for part in parts
        for pattern, name in ((FOLDER, MEASURES), (f"{PREFIX}*", VERDICTS))
        for folder in part.glob(pattern)
        for journal in files_of(folder / name)
    ]
    return sorted({journal.parent.name for journal in journals})


def _merge(name: str, parts: Sequence[Path], out: Path) -> int:
    target = out / name
    with part_locked(target, 1, 1), writing(target, "The same command continues."):
        sources = _sources(name, [*parts, out])
        known = {line.key for source in sources if source.folder == target for line in source.lines}
        merged = _joined(sources)
        new = [line for line in merged if line.key not in known]
        if new:
            journal = target / (MEASURES if name == FOLDER else VERDICTS)
            old = files_of(journal)
            write_whole(journal, b"".join(line.content for line in merged))
            for path in old:
                if path != journal:
                    path.unlink()
    return sum(bool(line.claims) for line in new)


def _sources(name: str, runs: Sequence[Path]) -> list[_Source]:
    """The folders with this name that have any lines, each once."""
    folders = {run.resolve(): run / name for run in runs}
    found = [
        _Source(folder, list(_measured(folder) if name == FOLDER else _judged(folder)))
        for folder in folders.values()
    ]
    return sorted((source for source in found if source.lines), key=lambda source: source.place)


def _joined(sources: Iterable[_Source]) -> list[_Line]:
    """The lines of all sources. A definition stays where it is first, before its rows; any other
    line moves to where it is last.
    """
    lines: dict[object, _Line] = {}
    claimed: dict[object, tuple[object, Path]] = {}
    for source in sources:
        for line in source.lines:
            if line.claims:
                lines.pop(line.key, None)
            lines.setdefault(line.key, line)
        # In one folder, a later line wins over an earlier one.
        last = {key: (what, value) for line in source.lines for key, what, value in line.claims}
        for key, (what, value) in last.items():
            known, folder = claimed.setdefault(key, (value, source.folder))
            if known != value:
                one, other = sorted((folder, source.folder))
                raise StoreError(
                    f"{one} and {other} have different values of {what}; move one of the two"
                    " folders away, and what it alone had is computed again by `hnbench score` or"
                    " `hnbench measure`."
                )
    return list(lines.values())


def _judged(folder: Path) -> Iterator[_Line]:
    def parse(raw: dict[str, Any]) -> _Line:
        key, verdict = parse_verdict(raw)
        return _Line(key, sealed(raw), ((key, f"the verdict on {raw['name']}", verdict),))

    yield from read_lines(folder / VERDICTS, parse)


def _measured(folder: Path) -> Iterator[_Line]:
    """The lines of a folder of measures. A row without its definition counts for nothing, and is
    left out.
    """
    reader = MeasureReader()
    kinds: dict[tuple[str, str], Kind] = {}
    images: Mapping[str, Images] | None = None
    for raw, line in read_lines(folder / MEASURES, lambda raw: (raw, reader(raw))):
        content = sealed(raw)
        if isinstance(line, Definition):
            kinds[line.measure, line.fingerprint[:REFERENCE]] = line.kind
            yield _Line(content, content, ())
        elif kind := kinds.get((line.measure, line.fingerprint)):
            images = images if images is not None else _images_of(folder.parent)
            yield _Line(content, content, _claims(line, kind, images.get(line.label, {})))


def _claims(row: MeasureRow, kind: Kind, images: Images) -> tuple[Claim, ...]:
    """The values of a row. Other parts may have measured the same prompts in other
    batches, so each prompt counts for itself if its images are still those that were measured.
    """
    of = (row.measure, row.fingerprint, row.label)
    what = f"{row.measure} for {row.label}"
    if kind == "set" or not row.is_of(images):
        return (((*of, row.images, tuple(row.values)), what, row.values),)
    return tuple(
        ((*of, prompt, tuple(images[prompt])), f"{what} {prompt}", value)
        for prompt, value in row.values.items()
    )


def _images_of(run: Path) -> dict[str, dict[str, list[str]]]:
    """Label -> prompt -> the SHA-256 of the images in a run's records, in the order of samples."""
    found: dict[str, dict[str, list[str]]] = {}
    for record in sorted(read_run(run).records, key=lambda one: one.sample):
        if record.image:
            by_prompt = found.setdefault(record.label, {})
            by_prompt.setdefault(record.prompt_id, []).append(record.image.sha256)
    return found
