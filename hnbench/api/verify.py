"""`hnbench.verify`: checks that this installation gives the published numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.api.arguments import RESULTS, Several, several
from hnbench.catalogue.loading import Dtype, choose_device
from hnbench.display.screen import Screen

if TYPE_CHECKING:
    import pandas as pd

    from hnbench.verification.check import CheckResult
    from hnbench.verification.session import Session


@dataclass(frozen=True)
class Verified:
    """The results of some checks."""

    path: Path
    """The JSON file with the same results."""
    session: Session

    @property
    def results(self) -> tuple[CheckResult, ...]:
        """One result for each check, in order."""
        return self.session.results

    @property
    def failed(self) -> bool:
        """Whether anything differs, a check broke, or nothing at all could be compared."""
        return self.session.failed

    def frame(self) -> pd.DataFrame:
        """One row per check: `check`, `component`, `verdict`, `why`, `seconds`."""
        import pandas as pd

        return pd.DataFrame(
            {
                "check": one.reference.name,
                "component": one.reference.component,
                "verdict": one.verdict,
                "why": one.why,
                "seconds": one.seconds,
            }
            for one in self.results
        )


def verify(
    names: Several = None,
    *,
    slow: bool = False,
    device: str = "auto",
    dtype: Dtype | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Verified:
    """Check that this installation, on this machine, gives the published numbers.

    `names` are generators, rewards, suites, measures or single checks; None is every check that
    needs no GPU and less than 5 GB. Models and inputs are downloaded if needed. The results are
    remembered, and runs and reports show them for their models.

    Raises `UsageError` for an unknown name. A number that differs is a result, not an error.
    """
    from hnbench.verification.reference import all_references, choose
    from hnbench.verification.session import small_checks, write_session
    from hnbench.verification.session import verify as run_checks

    known = all_references()
    asked = several(names)
    chosen = choose(asked, known) if asked else small_checks(known)
    with Screen(shown=progress) as screen:
        display = screen.checks(chosen, len(known))
        session = run_checks(chosen, choose_device(device), display, dtype=dtype, slow=slow)
    started = session.started.replace(":", "").partition("+")[0]
    path = RESULTS / "verified" / f"{started}.json" if out is None else Path(out)
    write_session(session, path)
    return Verified(path, session)
