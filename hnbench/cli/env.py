"""`hnbench env`."""

from __future__ import annotations

from hnbench.catalogue.loading import choose_device
from hnbench.cli.json_output import AsJson, print_json
from hnbench.cli.options import DeviceName
from hnbench.cli.printing import show_values
from hnbench.runs.surroundings import surroundings

EXAMPLES = (
    "hnbench env",
    "hnbench env --json",
)


def env(
    as_json: AsJson = False,
    device: DeviceName = "auto",
) -> None:
    """Print versions, device, cache and what was verified here: paste it into a bug report."""
    found = surroundings(choose_device(device))
    if as_json:
        print_json(found)
        return
    show_values(found)
