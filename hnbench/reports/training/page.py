"""The page of a training: one file that needs nothing else, with curves, evaluations, cost,
configuration and origin.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.files.escaping import printable
from hnbench.files.writing import write_whole, writing
from hnbench.reports.training.curves import BAND, FILES, draw_curves
from hnbench.reports.training.log import read_training

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hnbench.reports.training.log import PairFacts, TrainingRecord

PAGE = "index.html"
_HERE = Path(__file__).parent
Row = tuple[str, ...]


def write_page(folder: Path) -> Path:
    """Write curves and page into a training's folder, from what it holds now; returns the page.

    Raises `StoreError` for a damaged folder, and for one that cannot be written to.
    """
    record = read_training(folder)
    with writing(folder, "The training itself is kept."):
        draw_curves(record, folder)
        svg = (folder / FILES[1]).read_text(encoding="utf-8")
        write_whole(folder / PAGE, page(record, svg).encode("utf-8", "replace"))
    return folder / PAGE


def page(record: TrainingRecord, curves: str) -> str:
    """The page's HTML; `curves` is the SVG of this package's own plot."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    config = record.identity.config
    return environment.from_string(
        (_HERE / "page.html.jinja").read_text(encoding="utf-8")
    ).render(
        title=printable(f"{config.get('kind')} of {config.get('generator')}"),
        state=_state(record),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - own file
        # Only the drawing itself: HTML has no XML declaration, and its own document type.
        curves=Markup(curves[curves.index("<svg") :]),  # noqa: S704 - matplotlib escapes texts
        tables=[
            ("Evaluations on held-out prompts", _EVALUATION, list(_evaluations(record))),
            *([("Pairs", (), list(_pairs(record.pairs)))] if record.pairs else ()),
            ("Cost", (), list(_cost(record))),
            ("Configuration", (), list(_flat(config))),
            ("Origin", (), list(_origin(record))),
        ],
    )


_EVALUATION = ("step", "paired gain [95%]", "reward", "base's reward", "change of the noise")


def _state(record: TrainingRecord) -> str:
    total = record.identity.config.get("steps")
    if record.adapter is not None:
        return f"Finished after {record.done} steps."
    return f"Not finished: {record.done} of {total} steps so far."


def _evaluations(record: TrainingRecord) -> Iterable[Row]:
    for step, one in record.evaluations:
        interval = ""
        if one.gain is not None and one.gain_standard_error is not None:
            half = BAND * one.gain_standard_error
            interval = f" [{one.gain - half:+.4g}, {one.gain + half:+.4g}]"
        gain = "not finite" if one.gain is None else f"{one.gain:+.4g}{interval}"
        change = "" if one.relative_change is None else f"{one.relative_change:.2%}"
        yield str(step), gain, _number(one.reward), _number(one.base_reward), change


def _pairs(pairs: PairFacts) -> Iterable[Row]:
    yield "pairs of a noise and what ReNO found from it", str(pairs.made)
    yield "used, because a reward was finite", str(pairs.used)
    yield "mean reward of the noises", _number(pairs.reward)
    yield "mean reward of what ReNO found", _number(pairs.found_reward)
    change = "" if pairs.relative_change is None else f"{pairs.relative_change:.2%}"
    yield "mean change of the noise", change


def _cost(record: TrainingRecord) -> Iterable[Row]:
    if record.adapter is not None:
        yield from _flat(record.adapter.get("training", {}))
        return
    last = next((one for one in reversed(record.steps) if one.seconds is not None), None)
    if last is not None:
        yield "seconds so far", _number(last.seconds)
        yield "skipped steps", str(last.skipped)
    yield "everything else", "is counted, and shown at the end"


def _origin(record: TrainingRecord) -> Iterable[Row]:
    import hnbench

    yield from (("generator", ""), *_flat(record.identity.generator, "generator "))
    yield "SHA-256 of the rewards", printable(record.identity.reward)
    yield "SHA-256 of the prompts", printable(record.identity.prompts)
    yield "page by hnbench", hnbench.__version__


def _flat(values: dict[str, Any], before: str = "") -> Iterable[Row]:
    """The entries of a JSON object as rows of text, those of inner objects too."""
    for name, value in sorted(values.items()):
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name} ")
        else:
            text = _number(value) if isinstance(value, float) else str(value)
            yield printable(f"{before}{name}".replace("_", " ")), printable(text)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
