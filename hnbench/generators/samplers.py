"""How a distilled model is sampled, where that differs from the base that it was made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing"}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}
"""Name -> the class of diffusers, and the settings that are not the base scheduler's."""
LAST_TIMESTEP = 999
"""The timestep of pure noise; Stable Diffusion has 1000 of them."""
_FROM_A_TIMESTEP = ("lcm", "tcd")
"""The schedulers that can begin at any timestep."""
_PREDICTIONS = ("epsilon", "sample", "v_prediction")


@dataclass(frozen=True)
class Sampler:
    """A scheduler with its settings. A combination that does not exist is a `UsageError`."""

    scheduler: str
    """One of `SCHEDULERS`."""
    first_timestep: int | None = None
    """The timestep, 0 to 999, that sampling begins at; several steps divide the way down evenly.
    None: as the scheduler spaces them.
    """
    eta: float = 0.0
    """TCD's share of new noise in each step but the last, 0 to 1 (gamma in arXiv 2402.19159)."""
    prediction: str | None = None
    """The network's output: `"epsilon"`, `"sample"` or `"v_prediction"`; None: that of the base."""

    def __post_init__(self) -> None:
        """Check the combination."""
        if self.scheduler not in SCHEDULERS:
            raise UsageError(
                f"`scheduler` was {self.scheduler!r}; give one of: {', '.join(SCHEDULERS)}"
            )
        if self.first_timestep is not None and (
            self.scheduler not in _FROM_A_TIMESTEP or not 0 <= self.first_timestep <= LAST_TIMESTEP
        ):
            raise UsageError(
                f"`first_timestep` was {self.first_timestep} with `scheduler` {self.scheduler};"
                f" give 0 to {LAST_TIMESTEP}, and {' or '.join(_FROM_A_TIMESTEP)}"
            )
        if not 0 <= self.eta <= 1 or (self.eta and self.scheduler != "tcd"):
            raise UsageError(
                f"`eta` was {self.eta:g} with `scheduler` {self.scheduler}; give 0 to 1, and tcd"
            )
        if self.prediction is not None and self.prediction not in _PREDICTIONS:
            raise UsageError(
                f"`prediction` was {self.prediction!r}; give one of: {', '.join(_PREDICTIONS)}"
            )

    @property
    def scheduler_class(self) -> str:
        """The name of the scheduler's class in diffusers."""
        return SCHEDULERS[self.scheduler][0]

    def scheduler_like(self, base: Any) -> Any:
        """The scheduler, with the settings of the base's where it has none of its own."""
        import diffusers  # not needed to check what a user typed

        kind, (_, settings) = getattr(diffusers, self.scheduler_class), SCHEDULERS[self.scheduler]
        changed = {"prediction_type": self.prediction} if self.prediction else {}
        return kind.from_config(base.config, **settings, **changed)

    def timesteps(self, steps: int) -> list[int] | None:
        """The timesteps of this number of steps; None if the scheduler spaces them.

        >>> Sampler("lcm", first_timestep=999).timesteps(4)
        [999, 749, 499, 249]
        """
        if self.first_timestep is None:
            return None
        return [(self.first_timestep + 1) * (steps - step) // steps - 1 for step in range(steps)]

    def described(self) -> dict[str, Any]:
        """The fields that are set, as JSON types."""
        plain = asdict(Sampler(self.scheduler))
        return {"scheduler": self.scheduler} | {
            name: value for name, value in asdict(self).items() if value != plain[name]
        }
