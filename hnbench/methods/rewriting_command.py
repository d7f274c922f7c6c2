"""A rewriter that is a program of the user: a request as JSON on its standard input, and one prompt
in each line of its standard output.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from hnbench.errors import PluginError, UsageError
from hnbench.files.escaping import QUOTED, printable, quoted
from hnbench.methods.rewriting import Answer, Request, Rewriter

SECONDS = 300
"""The time that a program has for one answer."""


@dataclass(frozen=True)
class CommandRewriter(Rewriter):
    """Starts the program for each request, without a shell."""

    text: str
    """The program and its arguments, split as a POSIX shell does."""
    keep: int
    """The number of tried prompts that it is told, the best ones."""
    seconds: float = SECONDS

    @property
    def arguments(self) -> list[str]:
        """The program and its arguments. `UsageError` if the text cannot be split."""
        try:
            found = shlex.split(self.text)
        except ValueError as error:
            raise UsageError(f"prompt-search: command was {quoted(self.text)}: {error}") from error
        if not found:
            raise UsageError(
                "prompt-search: command was empty; give a program and its arguments, for example"
                " 'prompt-search:command=python rewrite.py'"
            )
        return found

    @property
    def identity(self) -> dict[str, Any]:
        """The text of the command alone: what the program does is the user's own affair."""
        return {"command": self.text}

    def check(self, device: str) -> None:  # noqa: ARG002
        program = self.arguments[0]
        if shutil.which(program) is None:
            raise UsageError(
                f"prompt-search: there is no program {quoted(program)}; give one that can be"
                " started, for example 'prompt-search:command=python rewrite.py'"
            )

    def answer(self, request: Request, device: str) -> Answer:  # noqa: ARG002
        try:
            done = subprocess.run(  # noqa: S603 - the user's own program, without a shell
                self.arguments,
                input=self._asked(request),
                capture_output=True,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PluginError(
                f"the rewriter {quoted(self.text)} gave no answer in {self.seconds:g} seconds"
            ) from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise PluginError(
                f"the rewriter {quoted(self.text)} ended with {done.returncode}"
                f"{f': {printable(said[0])[-QUOTED:]}' if said else ''}"
            )
        try:
            return Answer(tuple(done.stdout.decode().splitlines()))
        except UnicodeDecodeError:
            raise PluginError(
                f"the rewriter {quoted(self.text)} gave text that is not UTF-8"
            ) from None

    def _asked(self, request: Request) -> bytes:
        tried = [{"prompt": one.prompt, "score": one.score} for one in request.tried[: self.keep]]
        return json.dumps(
            {
                "prompt": request.prompt,
                "tried": tried,
                "proposals": request.proposals,
                "seed": request.seed,
            }
        ).encode()
