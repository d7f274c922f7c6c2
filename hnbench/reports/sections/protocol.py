"""The protocol: suite, judge, models, seeds and methods, and how the statistics are computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hnbench.reports.sections.cells import all_escaped, table
from hnbench.stats.intervals import RESAMPLES
from hnbench.stats.paired import FLIPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.reports.summary import Summary


def _steps(config: Mapping[str, Any]) -> str:
    steps, rendered = config.get("steps", "n/a"), config.get("render_steps")
    return str(steps) if rendered is None else f"{steps} in searches, {rendered} in all images"


def section(summary: Summary) -> str:
    """A table of all that decides the numbers, and a text on how the statistics are computed."""
    pool, manifest = summary.pool, summary.pool.manifests[0]
    config = manifest["config"]
    facts = [
        ("suite", f"{manifest['suite']['name']} {manifest['suite']['version']}"),
        (
            "judge",
            (
                f"{judge['name']} ({judge['fingerprint'][:12]})"
                if (judge := manifest["suite"]["judge"])
                else "none: rewards only"
            ),
        ),
        (
            "generator",
            f"{manifest['generator']['name']} ({manifest['generator']['fingerprint'][:12]})",
        ),
        ("steps, dtype", f"{_steps(config)}, {config.get('dtype', 'n/a')}"),
        (
            "starting noise",
            (
                f"{config.get('noise_policy', 'n/a')}, the same for every method; base seeds"
                f" {', '.join(map(str, pool.seeds))}"
            ),
        ),
        *(
            (f"reward {name}", fingerprint[:12])
            for name, fingerprint in manifest["rewards"]["fingerprints"].items()
        ),
        (
            "methods",
            "; ".join(json.dumps(method, sort_keys=True) for method in manifest["plan"]["methods"]),
        ),
    ]
    text = (
        "The unit of the statistics is the prompt: all its samples and base seeds form one"
        " cluster. Intervals are 95% expanded percentile intervals of a bootstrap of prompts"
        f" within tags ({RESAMPLES:,} resamples, the same for every method); ratios are taken draw"
        " by draw. Differences are paired by prompt, sample and seed. p-values flip the signs of"
        f" whole prompts ({FLIPS:,} flips) and are adjusted by Holm's method over the methods of"
        " the table; intervals are not adjusted. An interval of zero width means that all samples"
        " agreed, not that nothing is uncertain. Seconds are shared by the samples of a batch:"
        " their intervals show the spread between prompts only."
    )
    return f"## Protocol\n\n{table(['', 'value'], map(all_escaped, facts), align='---')}\n\n{text}"
