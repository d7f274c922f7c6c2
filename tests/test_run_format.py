"""docs/run-format.md names every file and field of a run and its reports, and none that is not
there: compared with the structs that read them, and with files that are written here.
"""

from __future__ import annotations

import csv
import json
import lzma
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

import hnbench
from hnbench.api.training_page import with_page
from hnbench.config import RunConfig, values_of
from hnbench.hypernetwork.config import OF_REGRESSION
from hnbench.hypernetwork.trainer import Trainer
from hnbench.images.finding import find_images
from hnbench.images.judging import score
from hnbench.images.result_files import write_results
from hnbench.images.verdict_journal import _Line
from hnbench.measures.journal import Definition, Distance, MeasureRow, definition_line, open_journal
from hnbench.methods.training import AMOUNTS
from hnbench.reports.summary import summarise_runs
from hnbench.reports.training.log import Step
from hnbench.reports.write import FILES, write_report
from hnbench.runs.journals import journals_of
from hnbench.runs.journals import lines_of as journal_lines
from hnbench.runs.manifest import _Manifest
from hnbench.runs.packed import _Header
from hnbench.runs.record import Record
from hnbench.runs.store import read_run
from tests.hypernetwork.test_trainer import Spectator
from tests.hypernetwork.tiny import (
    PROMPTS,
    REGRESSION,
    UNetGenerator,
    config,
    mixture,
    search_of,
)
from tests.images.conftest import Stages
from tests.journals import journal_rows, write_journal
from tests.reports.synthetic import LABELS, manifest, write_run
from tests.reports.test_other_suites import rewrite
from tests.runs.world import WorldSuite, run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "run-format.md").read_text("utf-8")
REFERENCE = ROOT / "results" / "geneval-shapes"
FIRST = ROOT / "tests" / "data" / "run-of-schema-1"

OF_MANIFEST = {
    "config.optimised",
    "generator.details",
    "rewards.optimised",
    "rewards.fingerprints",
    "rewards.sources",
    "plan.methods",
    "plan.method_of",
    "skipped",
    "earlier",
    "environment.packages",
}
OF_RECORD = {"rewards", "initial_rewards", "verdict.details"}
"""Objects whose keys are not fields: they are names of rewards, labels, packages and so on."""
KEYED = {"training": "KIND", "verified": "MODEL"}
"""Objects whose keys are names as well, and whose values have fields."""


def tables(heading: str) -> Iterator[list[str]]:
    """The rows of the tables under a heading, each as its cells."""
    (_, text) = re.split(rf"^## {re.escape(heading)}$", PAGE, flags=re.MULTILINE)
    for line in re.split(r"^##? ", text, flags=re.MULTILINE)[0].splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def documented(heading: str) -> set[str]:
    """All names in the first cells of the rows under a heading; none is there twice."""
    found = [name for row in tables(heading) for name in names(row[0])]
    assert found
    assert len(found) == len(set(found))
    return set(found)


def of_type(kind: Any) -> set[str]:
    """The paths of the fields of a struct, and of the structs and dataclasses in it."""
    return set(_of_type(msgspec.inspect.type_info(kind), ""))


def _of_type(kind: Any, at: str) -> Iterator[str]:
    if isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.UnionType):
        inner = [one for one in kind.types if hasattr(one, "fields")]
        kind = inner[0] if inner else None
    if hasattr(kind, "fields"):
        for one in kind.fields:
            yield from _of_type(one.type, f"{at}.{one.encode_name}".lstrip("."))
    elif isinstance(kind, msgspec.inspect.ListType) and hasattr(kind.item_type, "fields"):
        yield from _of_type(kind.item_type, f"{at}[]")
    elif isinstance(kind, msgspec.inspect.DictType) and at in KEYED:
        yield from _of_type(kind.value_type, f"{at}.{KEYED[at]}")
    else:
        yield at


def of_value(value: Any, opened: set[str], at: str = "") -> Iterator[str]:
    """The paths of the fields of a JSON value; those in `opened` are not entered."""
    if at not in opened and isinstance(value, dict):
        for name, item in value.items():
            yield from of_value(item, opened, f"{at}.{KEYED.get(at, name)}".lstrip("."))
    elif at not in opened and isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from of_value(item, opened, f"{at}[]")
    else:
        yield at


def of_values(values: Iterable[Any], opened: Iterable[str] = ()) -> set[str]:
    return {path for value in values for path in of_value(value, set(opened))}


def innermost(paths: set[str]) -> set[str]:
    """The paths without those of objects and lists that are null or empty somewhere, and have
    fields elsewhere.
    """
    around = {path[: end.start()] for path in paths for end in re.finditer(r"\.|\[", path)}
    return paths - around


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the toys with everything that the commands write into its folder."""
    folder = tmp_path_factory.mktemp("format") / "run"
    suite = WorldSuite()
    run(folder, suite=suite)
    write_report(summarise_runs([folder]), folder / "report")
    found = find_images(read_run(folder), suite).usable(Stages(), partial=False)
    out = folder / "scores-JUDGE"
    write_results(score(found, suite.one_judge, out, batch_size=4, progress=Stages()), out)
    spread = Definition("spread", "f" * 64, "prompt", "", higher_is_better=None, source="")
    with open_journal(folder / "measures") as journal:
        journal.add([definition_line(spread)])
    return folder


def test_the_header_of_a_packed_journal() -> None:
    assert documented("Packed journals") == {one.name for one in msgspec.structs.fields(_Header)}


def test_files(made: Path) -> None:
    there = {
        re.sub(r"images/../[0-9a-f]{64}", "images/XX/ID", path.relative_to(made).as_posix())
        for path in made.rglob("*")
        if path.is_file()
    }
    there = {path.replace("journal-0000", "journal-NNNN") for path in there}
    ours = {path for path in there if not path.startswith("report/")}
    assert documented("Files") == ours | {
        *("journal-NNNN.jsonl.xz", "journal-NNNN.columns.xz", "report/")
    }
    reports = {path.removeprefix("report/") for path in there - ours}
    # Few samples give fewer plots.
    assert {"report.md", "records.csv", ".hnbench-report.lock"} < reports
    assert documented("A report") == {*FILES, ".hnbench-report.lock"} >= reports


def test_run_json(made: Path) -> None:
    read = of_type(_Manifest) - {"config"}
    configured = {f"config.{item.name}" for item in fields(RunConfig)}
    trained = {
        f"training.KIND.{name}" for name in (*AMOUNTS, "device", "checkpoint", "seen_prompts")
    }
    # Outside of a checkout, `environment.git` is null.
    checkout = {"environment.git.commit", "environment.git.dirty"}
    written = of_values([json.loads((made / "run.json").read_text("utf-8"))], OF_MANIFEST)
    assert documented("run.json") == innermost(read | configured | trained | checkout | written)


@pytest.mark.parametrize("path", [FIRST / "run.json", *REFERENCE.glob("seed*/run.json")], ids=str)
def test_older_run_json(path: Path) -> None:
    """Fields of the first version are in the oldest file, and files have no field that is not
    documented.
    """
    found = of_values([json.loads(path.read_text("utf-8"))], OF_MANIFEST)
    assert innermost(found | documented("run.json")) == documented("run.json")
    since_first = {name for row in tables("run.json") for name in names(row[0]) if row[3] == "1"}
    assert since_first <= innermost(found)


def test_records(made: Path) -> None:
    written = of_values(lines_of(made / "journal-0000.jsonl"), OF_RECORD)
    assert documented("journal-NNNN.jsonl") == innermost(of_type(Record) | written)


def test_older_records() -> None:
    rows = tables("journal-NNNN.jsonl")
    first = {name for row in rows for name in names(row[0]) if row[3] == "1"}
    for record in lines_of(FIRST / "journal-0000.jsonl"):
        found = of_values([record], OF_RECORD)
        assert innermost(found) <= documented("journal-NNNN.jsonl") | {"error"}
        assert innermost(found | first) - found <= {"error.type", "error.message"}


def test_the_records_of_the_reference_run() -> None:
    journal, *_ = journals_of(REFERENCE / "seed0")
    for line in islice(journal_lines(journal), 100):
        found = of_values([json.loads(line)], OF_RECORD)
        assert innermost(found) <= documented("journal-NNNN.jsonl") | {"error"}


def test_measures() -> None:
    values = {f"values.{name}" for name in of_type(Distance)}
    paths = of_type(Definition) | of_type(MeasureRow) | values | {"check"}
    assert documented("measures/journal.jsonl") == paths
    with lzma.open(REFERENCE / "seed0" / "measures" / "journal.jsonl.xz") as file:
        found = of_values([json.loads(line) for line in file], {"values"})
    assert found == paths - values


def test_scores(made: Path) -> None:
    folder = made / "scores-JUDGE"
    verdicts = of_values(lines_of(folder / "journal.jsonl"), OF_RECORD)
    assert documented("scores-JUDGE/journal.jsonl") == verdicts == of_type(_Line) | {"check"}
    results = of_values(lines_of(folder / "results.jsonl"))
    assert documented("scores-JUDGE/results.jsonl") == results | {"score"}
    scores = of_values([json.loads((folder / "scores.json").read_text("utf-8"))], {"problems"})
    assert documented("scores-JUDGE/scores.json") == scores


def test_records_csv(made: Path) -> None:
    # The toys have no grades, no GPU, no chain and no rewriter.
    absent = {"score", "peak_memory_bytes", "acceptance", "chosen_prompt"}
    absent |= {f"rewriter_{name}" for name in ("calls", "tokens", "seconds", "dropped")}
    columns = set(rows_of(made / "report" / "records.csv")[0]) | absent
    assert columns == set(read_run(made).frame().columns)
    named = {re.sub(r"^(reward|initial)_.*", r"\1_NAME", name) for name in columns}
    assert documented("records.csv") == named


def test_pairs_csv(made: Path) -> None:
    assert documented("pairs.csv") == set(rows_of(made / "report" / "pairs.csv")[0])


def test_summary_csv() -> None:
    rows = rows_of(REFERENCE / "report" / "summary.csv")
    assert documented("summary.csv") == set(rows[0])
    kinds = {"tag": "TAG", "reward": "NAME", "standard_gain": "NAME"}
    kinds |= {"measure": "MEASURE", "minus": "LABEL"}
    kinds |= {"within_prompt_sd": "NAME", "between_prompt_sd": "NAME"}
    metrics = {
        re.sub(r"(^|/)(\w+)/[^/]+$", lambda found: _named(found, kinds), row["metric"])
        for row in rows
    }
    assert documented("Metrics of summary.csv") == metrics


def _named(found: re.Match[str], kinds: dict[str, str]) -> str:
    kind = found[2]
    return f"{found[1]}{kind}/{kinds[kind]}" if kind in kinds else found[0]


@pytest.fixture(scope="module")
def findings(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Key -> names of numbers of all findings of several reports, of different kinds."""
    folder = tmp_path_factory.mktemp("findings")
    write_run(folder / "failed", failed=("reno",), prompts_per_tag=1)
    suite = {"suite": {**manifest(LABELS, 1, 2, 0)["suite"], "judge": None}}
    write_run(folder / "unjudged", changes=suite, prompts_per_tag=1)
    rewrite(folder / "unjudged", lambda _: None)
    exploited(write_run(folder / "exploited", prompts_per_tag=4))
    controls = (*LABELS, *OTHERS[1:], "oracle")
    write_run(folder / "controls", controls, prompts_per_tag=1)
    reports = [REFERENCE / "report", made / "report"]
    for name in ("failed", "unjudged", "exploited", "controls"):
        reports.append(folder / f"{name}-report")
        write_report(summarise_runs([folder / name]), reports[-1])
    found: dict[str, set[str]] = {}
    for report in reports:
        for finding in json.loads((report / "headline.json").read_text("utf-8")):
            key, _, label = finding["key"].partition("/")
            whole = finding["key"] if key == "not_following" else f"{key}/LABEL"
            numbers = found.setdefault(whole if label else key, set())
            numbers |= {_placeholder(name) for name in finding.keys() - {"key", "sentence"}}
    return found


def exploited(folder: Path) -> None:
    """Make the prompts, and not the noises, decide the rewards; only the optimised one gains."""
    records = journal_rows(folder / "journal-0000.jsonl")
    for record in records:
        level = 50.0 * int(record["prompt_id"][-4:]) + 0.1 * record["sample"]
        for rewards, gain in ((record["initial_rewards"], 0), (record["rewards"], 1)):
            for name in rewards:
                own = gain * (record["label"] != "random") * (name == "shapes-clip")
                rewards[name] = level + own
            rewards["optimised"] = 2.0 * rewards["shapes-clip"]
        record["verdict"] = {"correct": record["sample"] == 0, "reason": ""}
    write_journal(folder / "journal-0000.jsonl", records)


def _placeholder(name: str) -> str:
    if "/" in name:
        return "/".join(map(_placeholder, name.split("/")))
    return "LABEL" if name in (*LABELS, *OTHERS) else "NAME" if name in NAMES else name


NAMES = {"shapes-efficientnet", "shapes-resnet", "redness", "red"}
OTHERS = ("climb", "hypernoise-other-prompt", "hypernoise-static")
"""The held-out rewards of these reports."""


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of finished trainings and of an unfinished one, of all kinds."""
    kinds = ("hypernoise", "finetune", "regression")
    folders = [tmp_path_factory.mktemp(kind) for kind in kinds]
    for folder, kind, stop_at in zip(folders, kinds, (None, 2, None), strict=True):
        own = REGRESSION if kind == "regression" else {"kind": kind}
        wanted = config(**own, warmup_steps=1)
        models, search = (UNetGenerator(), mixture()), search_of(wanted)
        trainer = Trainer(wanted, *models, PROMPTS, folder, search=search)
        with (
            suppress(KeyboardInterrupt),
            with_page(folder, 1, Spectator(stop_at), main=True) as progress,
        ):
            trainer.train(progress)
    return folders


def test_files_of_a_training(trainings: list[Path]) -> None:
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for folder in trainings
        for path in folder.iterdir()
    }
    assert documented("A training's folder") == there


def test_train_jsonl(trainings: list[Path]) -> None:
    written = of_values(line for folder in trainings for line in lines_of(folder / "train.jsonl"))
    assert documented("train.jsonl") == innermost(written) == of_type(Step)


def test_training_json(trainings: list[Path]) -> None:
    values = [json.loads((folder / "training.json").read_text("utf-8")) for folder in trainings]
    assert documented("training.json") == of_values(values, {"config"})
    always = {*values_of(config(), "identity"), "warmup"}
    for value in values:
        pairs = set(OF_REGRESSION) if value["config"]["kind"] == "regression" else set()
        assert set(value["config"]) == always | pairs


def test_diagnosis_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = hnbench.diagnose(limit=1, samples=2, device="cpu", progress=False)
    whens = [f"gaussianity.{when}" for when in ("before", "after")]
    moments = ("mean", "variance", "skewness", "excess_kurtosis")
    names = ["norm", "position_mean", *(f"moments.{name}" for name in moments)]
    names += ["lag_one.vertical", "lag_one.horizontal"]
    statistics = {f"{when}.{name}" for when in whens for name in names}
    value = json.loads(found.path.read_text("utf-8"))
    for path in statistics:
        inner = value
        for name in path.split("."):
            inner = inner[name]
        assert set(inner) == {"observed", "expected", "standard_error", "z"}
    written = {
        re.sub(r"^gaussianity\.(before|after)", "gaussianity.WHEN", path)
        for path in of_values([value], statistics)
    }
    # The embedded world's constants are too large for the series.
    series = {f"{name}.{part}" for name in ("kl", "jacobian_term") for part in ERROR}
    assert documented("diagnosis.json") == innermost(written | series)


ERROR = ("mean", "standard_error")


def test_headline_json(findings: dict[str, set[str]]) -> None:
    told = {name: set(names(row[1])) for row in tables("headline.json") for name in names(row[0])}
    assert told == findings


def test_the_snippets_read_a_run(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "my-run").symlink_to(made)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"(?<=\n\n)(?:(?: {4}.*)?\n)+(?=\n?\S)", PAGE)
    snippets = [textwrap.dedent(block) for block in blocks if "import" in block]
    assert len(snippets) == 2
    for snippet in snippets:
        exec(snippet, {})  # noqa: S102
    planned = len(read_run(made).records)
    assert capsys.readouterr().out == f"{planned} of {planned} planned samples are done\n"


def test_a_picture_is_8_bit_rgb(made: Path) -> None:
    with Image.open(next(made.glob("images/*/*.png"))) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")


@pytest.mark.parametrize(
    ("line", "test"),
    [
        ("| `skipped` | object", test_run_json),
        ("| `displacement` |", test_records),
        ("| `reason` | text | the verdict's |", test_records_csv),
    ],
)
def test_a_field_that_no_row_names_is_found(
    made: Path, monkeypatch: pytest.MonkeyPatch, line: str, test: Callable[[Path], None]
) -> None:
    assert PAGE.count(line) == 1
    changed = PAGE.replace(line, line.replace("`", "`other_", 1))
    monkeypatch.setattr("tests.test_run_format.PAGE", changed)
    with pytest.raises(AssertionError):
        test(made)
