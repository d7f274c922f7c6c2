"""Numbers of papers next to the run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.numbers import spanned
from hnbench.reports.published import next_to_ours
from hnbench.reports.sections.cells import named, table

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The published numbers of this benchmark and model next to the run's own, or a sentence which
    says that none is known.
    """
    manifest = summary.pool.manifests[0]
    found = next_to_ours(summary)
    suite, generator, config = (
        manifest["suite"]["name"],
        manifest["generator"]["name"],
        manifest["config"],
    )
    steps = escaped(str(config.get("steps")))
    about = f"{escaped(suite)} with {escaped(generator)} at {steps} step(s)"
    if config.get("render_steps") is not None:
        about += f", rendered in {escaped(str(config['render_steps']))}"
    if not found:
        return f"## Published numbers\n\nNo published number is known for {about}."
    header = ["method", "task", "published", "this run [95%]", "published judge", "source"]
    rows = [
        [
            named(label),
            escaped(one.tag),
            f"{one.value:g}",
            spanned(own) if own else "not in this run",
            escaped(one.judge),
            escaped(f"{one.source}{f' ({one.note})' if one.note else ''}"),
        ]
        for one, label, own in found
    ]
    judge = manifest["suite"]["judge"]
    caution = (
        f"This run: {summary.pool.size}, {escaped(manifest['plan']['protocol'])} protocol, judge:"
        f" {escaped(judge['name']) if judge else 'none'}. Compare numbers only where judge,"
        " prompts, images per prompt and precision are the same: another judge has another scale."
    )
    return (
        f"## Published numbers\n\n{about[0].upper()}{about[1:]}.\n\n"
        f"{table(header, rows, align='---')}\n\n{caution}"
    )
