"""How much of test-time noise optimisation can a text-to-image model have for (almost) nothing?

`hnbench` trains Noise Hypernetworks, runs them against the methods they replace on the same
prompts and the same starting noise, and reports what was gained, what it cost and how sure we are.

    import hnbench

    run = hnbench.run("geneval-shapes", limit=12)
    run.frame()
    hnbench.report(run).findings

Each function has the parameters of the command of the same name. Importing this package is cheap:
each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# `X as X` tells type checkers that the name is exported.
if TYPE_CHECKING:
    from hnbench.api.compare import compare as compare
    from hnbench.api.diagnose import Diagnosis as Diagnosis
    from hnbench.api.diagnose import diagnose as diagnose
    from hnbench.api.export import ExportedImages as ExportedImages
    from hnbench.api.export import export as export
    from hnbench.api.fetch import Fetched as Fetched
    from hnbench.api.fetch import fetch as fetch
    from hnbench.api.generate import GeneratedImage as GeneratedImage
    from hnbench.api.generate import GeneratedImages as GeneratedImages
    from hnbench.api.generate import generate as generate
    from hnbench.api.load_hypernetwork import load_hypernetwork as load_hypernetwork
    from hnbench.api.measure import MeasuredImages as MeasuredImages
    from hnbench.api.measure import measure as measure
    from hnbench.api.merge import MergedRun as MergedRun
    from hnbench.api.merge import merge as merge
    from hnbench.api.pack import pack as pack
    from hnbench.api.plan import RunPlan as RunPlan
    from hnbench.api.plan import plan as plan
    from hnbench.api.push import plan_push as plan_push
    from hnbench.api.push import push as push
    from hnbench.api.report import Report as Report
    from hnbench.api.report import report as report
    from hnbench.api.run import FinishedRun as FinishedRun
    from hnbench.api.run import load_run as load_run
    from hnbench.api.run import run as run
    from hnbench.api.score import Scored as Scored
    from hnbench.api.score import score as score
    from hnbench.api.train import TrainedAdapter as TrainedAdapter
    from hnbench.api.train import train as train
    from hnbench.api.training_plan import TrainingPlan as TrainingPlan
    from hnbench.api.training_plan import plan_training as plan_training
    from hnbench.api.verify import Verified as Verified
    from hnbench.api.verify import verify as verify
    from hnbench.api.view import view as view
    from hnbench.errors import HnbenchError as HnbenchError
    from hnbench.errors import PeerError as PeerError
    from hnbench.errors import PluginError as PluginError
    from hnbench.errors import SampleFailure as SampleFailure
    from hnbench.errors import StoreError as StoreError
    from hnbench.errors import UsageError as UsageError
    from hnbench.generators.base import Conditioning as Conditioning
    from hnbench.generators.base import Generator as Generator
    from hnbench.measures.base import ImageMeasure as ImageMeasure
    from hnbench.measures.base import Measure as Measure
    from hnbench.measures.base import PromptMeasure as PromptMeasure
    from hnbench.measures.base import SetMeasure as SetMeasure
    from hnbench.methods.base import Method as Method
    from hnbench.methods.base import Outcome as Outcome
    from hnbench.methods.base import Passes as Passes
    from hnbench.reports.comparison.comparison import Comparison as Comparison
    from hnbench.rewards.base import Mixture as Mixture
    from hnbench.rewards.base import Reward as Reward
    from hnbench.runs.packing import PackedRun as PackedRun
    from hnbench.runs.record import Record as Record
    from hnbench.runs.store import Run as Run
    from hnbench.seeds import NoiseSource as NoiseSource
    from hnbench.suites.base import Judge as Judge
    from hnbench.suites.base import Prompt as Prompt
    from hnbench.suites.base import Suite as Suite
    from hnbench.suites.base import Verdict as Verdict
    from hnbench.tasks import Task as Task

__version__ = "0.1.0"

_HOMES = {
    "api.compare": ("compare",),
    "api.diagnose": ("Diagnosis", "diagnose"),
    "api.export": ("ExportedImages", "export"),
    "api.fetch": ("Fetched", "fetch"),
    "api.generate": ("GeneratedImage", "GeneratedImages", "generate"),
    "api.load_hypernetwork": ("load_hypernetwork",),
    "api.measure": ("MeasuredImages", "measure"),
    "api.merge": ("MergedRun", "merge"),
    "api.pack": ("pack",),
    "api.plan": ("RunPlan", "plan"),
    "api.push": ("plan_push", "push"),
    "api.report": ("Report", "report"),
    "api.run": ("FinishedRun", "load_run", "run"),
    "api.score": ("Scored", "score"),
    "api.train": ("TrainedAdapter", "train"),
    "api.training_plan": ("TrainingPlan", "plan_training"),
    "api.verify": ("Verified", "verify"),
    "api.view": ("view",),
    "errors": (
        "HnbenchError",
        "PeerError",
        "PluginError",
        "SampleFailure",
        "StoreError",
        "UsageError",
    ),
    "generators.base": ("Conditioning", "Generator"),
    "measures.base": ("ImageMeasure", "Measure", "PromptMeasure", "SetMeasure"),
    "methods.base": ("Method", "Outcome", "Passes"),
    "reports.comparison.comparison": ("Comparison",),
    "rewards.base": ("Mixture", "Reward"),
    "runs.packing": ("PackedRun",),
    "runs.record": ("Record",),
    "runs.store": ("Run",),
    "seeds": ("NoiseSource",),
    "suites.base": ("Judge", "Prompt", "Suite", "Verdict"),
    "tasks": ("Task",),
}
"""Module -> the public names that it defines."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Comparison",
    "Conditioning",
    "Diagnosis",
    "ExportedImages",
    "Fetched",
    "FinishedRun",
    "GeneratedImage",
    "GeneratedImages",
    "Generator",
    "HnbenchError",
    "ImageMeasure",
    "Judge",
    "Measure",
    "MeasuredImages",
    "MergedRun",
    "Method",
    "Mixture",
    "NoiseSource",
    "Outcome",
    "PackedRun",
    "Passes",
    "PeerError",
    "PluginError",
    "Prompt",
    "PromptMeasure",
    "Record",
    "Report",
    "Reward",
    "Run",
    "RunPlan",
    "SampleFailure",
    "Scored",
    "SetMeasure",
    "StoreError",
    "Suite",
    "Task",
    "TrainedAdapter",
    "TrainingPlan",
    "UsageError",
    "Verdict",
    "Verified",
    "__version__",
    "compare",
    "diagnose",
    "export",
    "fetch",
    "generate",
    "load_hypernetwork",
    "load_run",
    "measure",
    "merge",
    "pack",
    "plan",
    "plan_push",
    "plan_training",
    "push",
    "report",
    "run",
    "score",
    "train",
    "verify",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # the next access finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
