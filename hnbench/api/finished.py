"""The quick answer to a command whose run is finished: from the folder alone, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.catalogue import registry
from hnbench.catalogue.loading import find_adapter, fingerprint_of_adapter, is_place
from hnbench.catalogue.specifications import is_file, parse_method
from hnbench.runs.finished import finished_run
from hnbench.runs.manifest import MANIFEST, read_manifest
from hnbench.weights import verified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.api.arrangement import Arrangement
    from hnbench.config import RunConfig
    from hnbench.runs.journals import JournalReader
    from hnbench.runs.store import Run


def already_finished(asked: Arrangement, reader: JournalReader) -> Run | None:
    """The finished run that a command asks for again; None if there is anything to do or to look
    at: then the models decide.

    This holds only if every name stands for the same model as before: not for generators by place,
    other people's packages, `NAME@WHERE`, and adapters whose files have changed. A model
    that was verified since has to get into `run.json`. `reader` is that of the folder's journals.
    """
    manifest = read_manifest(asked.folder)
    if (
        manifest is None
        or not _fixed(asked.config)
        or _changed_since(verified.memory_file(), asked.folder)
    ):
        return None
    run = finished_run(reader, manifest, asked.config, asked.suite)
    return run if run and _same_adapters(asked, manifest) else None


def _fixed(config: RunConfig) -> bool:
    """Whether all names are built in, so that they mean the same in the same version."""
    if is_place(config.generator):
        return False
    entries = [
        registry.GENERATORS.entry(config.generator),
        *map(registry.REWARDS.entry, (*config.optimised, *config.held_out)),
        *(registry.METHODS.entry(parse_method(text)[0]) for text in config.methods),
    ]
    if config.suite_version is None and not is_file(config.suite):
        entries.append(registry.SUITES.entry(config.suite.partition(":")[0]))
    elsewhere = any("@" in name for name in (*config.optimised, *config.held_out, config.suite))
    return not elsewhere and all(entry.package == "hnbench" for entry in entries)


def _changed_since(path: Path, folder: Path) -> bool:
    """Whether a file was written after the last session."""
    return path.exists() and path.stat().st_mtime > (folder / MANIFEST).stat().st_mtime


def _same_adapters(asked: Arrangement, manifest: Mapping[str, Any]) -> bool:
    """Whether every adapter has the weights that the run recorded, and nothing else in its folder,
    such as the list of its prompts, was changed since.
    """
    recorded: dict[Any, set[Any]] = {}
    for one in manifest["plan"]["methods"]:
        recorded.setdefault(one.get("name"), set()).add(one.get("adapter"))
    for text in asked.config.methods:
        name, typed = parse_method(text)
        kind = registry.METHODS.entry(name).adapter
        if not kind or name not in recorded:
            continue
        adapter = Path(typed["adapter"]) if "adapter" in typed else asked.adapters.get(kind)
        if adapter is None:
            return False
        place = find_adapter(adapter, kind)
        changed = any(_changed_since(path, asked.folder) for path in (place, *place.rglob("*")))
        if changed or fingerprint_of_adapter(place, kind) not in recorded[name]:
            return False
    return True
