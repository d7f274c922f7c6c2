# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""The project's checks: `nox` runs the tests, `nox -l` lists the rest.

Requirements come from pyproject.toml, versions from constraints.txt.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
CONSTRAINTS = ("--constraint", str(ROOT / "constraints.txt"))
NOTHING_DEPRECATED = ("-W", "ignore::DeprecationWarning", "-W", "ignore::FutureWarning")
LARGEST_WHEEL = 20_000_000
AXE = "axe-core@4.14.1"

# One thread is several times faster than two where cores are shared; nothing in the tests may reach
# the network.
ENVIRONMENT = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "HF_HUB_OFFLINE": "1"}

# A worker for each core, 2 GB each. A worker takes neighbouring tests, so that few fixtures of a
# module are made twice, and at the end tests of another worker, so that none waits.
WORKERS = ("-n", "logical", "--maxprocesses", "8", "--dist", "worksteal")


def install(session: nox.Session, group: str, *others: str) -> None:
    """Install a dependency group of pyproject.toml and `others`, in the versions of
    constraints.txt.
    """
    session.install(*nox.project.dependency_groups(PYPROJECT, group), *others, *CONSTRAINTS)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that need nothing but hnbench."""
    install(session, "test", "--editable", ".")
    session.run("python", "-m", "pytest", *WORKERS, *session.posargs, env=ENVIRONMENT)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests on every declared Python; `nox -s pythons-3.12`: on this one."""
    tests(session)


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """Run the tests on the lowest declared Python with exactly the lowest declared versions; one
    that cannot be installed with the others is an error.
    """
    group = nox.project.dependency_groups(PYPROJECT, "test")
    lowest = [
        re.sub(r">=([^,;]+)(,[^;]*)?", r"==\1", requirement)
        for requirement in (*PYPROJECT["project"]["dependencies"], *group)
    ]
    session.install(*lowest, "--editable", ".")
    # old versions with the newest of what they need themselves get warnings of what will be removed
    session.run("python", "-m", "pytest", *NOTHING_DEPRECATED, *session.posargs, env=ENVIRONMENT)


@nox.session(python="3.11")
def mmdet(session: nox.Session) -> None:
    """Compare GenEval's detector with mmdet itself: random weights, and the published ones where
    they are cached.
    """
    # mmcv-lite is built with what an older setuptools brings
    install(session, "test", "--editable", ".", "setuptools<81", "wheel")
    session.install(
        "--no-build-isolation", "mmdet==3.3.0", "mmengine==0.10.7", "mmcv-lite==2.1.0", *CONSTRAINTS
    )
    file = "tests/suites/geneval_against_mmdet.py"
    session.run(
        "python", "-m", "pytest", "-W", "ignore", "-rPs", file, *session.posargs, env=ENVIRONMENT
    )


@nox.session
def peers(session: nox.Session) -> None:
    """Compare the rewards with the packages that publish them: random weights, and the published
    ones where they are cached.
    """
    # the packages need an environment of their own, which uv makes
    install(session, "test", "--editable", ".")
    packages = Path(session.create_tmp()) / "packages"
    session.run("uv", "venv", "--quiet", "--clear", str(packages), external=True)
    requirements = str(ROOT / "tests" / "peers" / "requirements.txt")
    session.run(
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(packages),
        "--requirement",
        requirements,
        external=True,
    )
    other = next(
        path
        for path in (packages / "bin" / "python", packages / "Scripts" / "python.exe")
        if path.exists()
    )
    variables = {**ENVIRONMENT, "PEERS_PYTHON": str(other)}
    session.run(
        "python",
        "-m",
        "pytest",
        "-m",
        "peers",
        "-rs",
        "tests/peers",
        *session.posargs,
        env=variables,
    )


@nox.session
def storm(session: nox.Session) -> None:
    """Kill work at random moments and take its memory away; with `-- --full`, a thousand times and
    more.
    """
    install(session, "test", "--editable", ".")
    session.run(
        "python",
        "-m",
        "pytest",
        *WORKERS,
        "-m",
        "storm",
        "-rP",
        "tests/storm",
        *session.posargs,
        env=ENVIRONMENT,
    )


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damage folders and run the commands on them; with `-- --full`, ten thousand."""
    install(session, "test", "--editable", ".")
    session.run(
        "python",
        "-m",
        "pytest",
        *WORKERS,
        "-m",
        "fuzz",
        "-rP",
        "tests/fuzz",
        *session.posargs,
        env=ENVIRONMENT,
    )


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take over 20 seconds."""
    install(session, "test", "--editable", ".")
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs, env=ENVIRONMENT)


@nox.session
def browser(session: nox.Session) -> None:
    """Open the pages of a report and of a comparison in Chromium; with npm, also check their
    accessibility by axe.
    """
    install(session, "browser", "--editable", ".")
    variables = dict(ENVIRONMENT)
    if shutil.which("npm"):
        folder = Path(session.create_tmp())
        with session.chdir(folder):
            session.run("npm", "pack", "--silent", AXE, external=True)
        archive = folder / f"{AXE.replace('@', '-')}.tgz"
        shutil.unpack_archive(archive, folder, filter="data")
        variables["AXE"] = str(folder / "package" / "axe.min.js")
    session.run(
        "python",
        "-m",
        "pytest",
        "-m",
        "browser",
        "-rs",
        "tests/browser",
        *session.posargs,
        env=variables,
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and fail when they reach too little of the code."""
    install(session, "test", "--editable", ".")
    session.run(
        "python",
        "-m",
        "pytest",
        *WORKERS,
        "--cov",
        "--cov-report=term",
        "--cov-fail-under=90",
        *session.posargs,
        env=ENVIRONMENT,
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    install(session, "types", "--editable", ".")
    session.run("mypy")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the sdist, install the wheel by itself and try it."""
    install(session, "build")
    folder = Path(session.create_tmp())
    for old in folder.glob("hnbench-*"):
        old.unlink()
    session.run("python", "-m", "build", "--outdir", str(folder))
    (wheel,) = folder.glob("hnbench-*.whl")
    size = wheel.stat().st_size
    if size >= LARGEST_WHEEL:
        session.error(f"{wheel.name} has {size} bytes; it must stay below {LARGEST_WHEEL}")
    if not any(
        name.startswith("hnbench/shapes/weights/") and name.endswith(".safetensors")
        for name in zipfile.ZipFile(wheel).namelist()
    ):
        session.error(f"{wheel.name} lacks the weights of shapes")
    session.install(str(wheel), *CONSTRAINTS)
    session.chdir(folder)
    session.run("hnbench", "--help")
    session.run("hnbench", "list", "suites")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the notebook of docs/ from top to bottom, in a folder of its own."""
    install(session, "docs", "--editable", ".")
    folder = Path(session.create_tmp())
    shutil.copy(ROOT / "docs" / "python.ipynb", folder)
    session.chdir(folder)
    session.run("jupyter", "execute", "python.ipynb", "--output", "executed", env=ENVIRONMENT)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run the benchmarks of docs/speed.md one after another, and write their results and its table;
    `-- --only reno` runs one of them.
    """
    install(session, "test", "--editable", ".")
    # With all cores, unlike the tests.
    session.run("python", "-m", "benchmarks.goals", *session.posargs)
