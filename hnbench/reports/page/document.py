"""A self-contained HTML page: template, style, scripts and data in one file.

A page loads nothing but images: its policy allows only the style and scripts that were written into
it, by their hashes, so text of a run cannot become code even if an escape were forgotten.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_HERE = Path(__file__).parent
SCRIPTS = (
    "elements.js",
    "tables.js",
    "state.js",
    "samples.js",
    "gallery.js",
    "pairs.js",
    "viewer.js",
    "page.js",
)
"""The scripts of a page, in the order in which they are joined."""
_UNSAFE = re.compile("[<\u2028\u2029\ud800-\udfff]")
"""Characters that JSON may contain and a script element or UTF-8 may not. Without `<`, the element
cannot end early, nor a comment begin.
"""


def document(template: str, data: Any, **values: Any) -> str:
    """A whole page. `template` is a file of this folder that extends `base.html.jinja`; `data` is
    what the scripts show, as JSON types; `values` are escaped where the template shows them, unless
    they are `Markup`.
    """
    style, script = _text("page.css"), _script()
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - files of this package
            data=json_in_html(data),
            **values,
        )
    )


def json_in_html(data: Any) -> Markup:
    """JSON for a script element, in as few bytes as possible."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(  # noqa: S704 - it has no `<`
        _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    )


def data_uri(content: bytes, kind: str) -> str:
    """A file as an address that contains it; `kind` is its media type."""
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            # A page opened as a file has no origin that 'self' could stand for.
            "img-src 'self' file: data:",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _script() -> str:
    """All scripts inside one function, so that they share names with nothing else."""
    return "\n".join(['"use strict";', "{", *map(_text, SCRIPTS), "}"])


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
