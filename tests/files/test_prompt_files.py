"""What prompt files may look like, and what is said of all others."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnbench.errors import UsageError
from hnbench.files.prompt_files import COLUMNS, is_prompt_file, read_every_prompt, read_prompt_file
from hnbench.suites.prompt_sets import parti
from hnbench.weights.pinned_files import VARIABLE

SAME = ("a cat", "a dog, and a cat")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "a cat\r\n\r\n  a dog, and a cat\r\na cat"),
        ("p.txt", "a cat\ra dog, and a cat\r"),
        ("p.TXT", "\ufeff\ufeffa cat\n\ufeff\n\ufeffa dog, and a cat\ufeff\n"),
        ("p", "a cat\na dog, and a cat"),
        ("p.csv", 'id,prompt\r\n1,a cat\r\n2,"a dog, and a cat"\r\n3,\r\n,\r\n\r\n'),
        ("p.csv", 'prompt\r"a cat"\r"a dog, and a cat"'),
        ("p.csv", '\ufeffid, prompt\n1, "a cat"\n2, "a dog, and a cat"\n'),
        ("p.tsv", "Prompt\tCategory\na cat\tAnimals\na dog, and a cat\tAnimals\n"),
        ("p.tsv", 'Prompt\tCategory\n"a cat"\tAnimals\n"a dog, and a cat"\t"An""imals"\n'),
        ("p.jsonl", '"a cat"\n\n{"text": "a dog, and a cat", "id": 2}\n'),
        ("P.JSONL", '\ufeff{"prompt": "a cat"}\r\n{"caption": "a dog, and a cat", "n": NaN}'),
        ("p.jsonl", '{"prompt": "a cat", "n": ' + "9" * 10000 + '}\n"a dog, and a cat"'),
        ("p.json", '["a cat", "\\ufeff a dog, and a cat\\n", ""]'),
        (
            "p.json",
            (
                '\ufeff[\n  {"prompt": "a cat", "seed": 1e999},\r\n  {"prompt": "a dog, and a'
                ' cat"}\r\n]'
            ),
        ),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert read_prompt_file(path).texts == SAME


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.txt", "three\u2028still three\u2029\x0a", ("three\u2028still three",)),
        (
            "a.txt",
            '"quoted", \'as\' "it is"\t\\n\n# no comment\n',
            ('"quoted", \'as\' "it is"\t\\n', "# no comment"),
        ),
        ("a.csv", 'prompt,x\n"one\r\ntwo",1\na 12" sign,2\n', ("one\ntwo", 'a 12" sign')),
        ("a.csv", 'prompt\n"a ""red"" cat"\n\u2028a\u2028b\n', ('a "red" cat', "a\u2028b")),
        (
            "a.tsv",
            'prompt\tx\n"G I G" painted\t1\nsays "hi"\t2\n"unclosed\t3\n',
            ('"G I G" painted', 'says "hi"', '"unclosed'),
        ),
        ("a.tsv", 'prompt\n"one\ntwo"\n"a\tb"\n', ("one\ntwo", "a\tb")),
        (
            "a.json",
            '["one\\r\\ntwo\\rthree", "\\ud83d\\ude42", "é"]',
            ("one\ntwo\nthree", "🙂", "é"),
        ),
        ("a.txt", "👩\u200d🚀 zero-width joiner\n", ("👩\u200d🚀 zero-width joiner",)),
        (
            "a.json",
            '[{"caption": "no", "text": "yes"}, {"id": 1, "id": 2, "Prompt": "Yes"}]',
            ("yes", "Yes"),
        ),
    ],
)
def test_what_a_prompt_is(tmp_path: Path, name: str, content: str, texts: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert read_prompt_file(tmp_path / name).texts == texts


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_a_prompt_of_a_million_characters_is_one(tmp_path: Path, name: str) -> None:
    prompt = "long " * 200_000 + "end"
    before = csv.field_size_limit()
    content = {
        ".txt": prompt,
        ".csv": f'prompt\n"{prompt}"\n',
        ".tsv": f"prompt\n{prompt}\n",
        ".json": json.dumps([prompt]),
    }
    (tmp_path / name).write_text(content.get(Path(name).suffix, json.dumps(prompt)))
    assert read_prompt_file(tmp_path / name).texts == (prompt,)
    assert csv.field_size_limit() == before


BAD: list[tuple[str, bytes, str]] = [
    ("a.txt", b"\n \n\xef\xbb\xbf\n", "the prompt file a.txt has no prompt; write one per line"),
    ("a.txt", b"", "the prompt file a.txt has no prompt; write one per line"),
    (
        "a.txt",
        b"fine\n\xff\xfe",
        "the prompt file a.txt cannot be read (it is not UTF-8); look at line 2",
    ),
    ("a.txt", "a cat".encode("utf-16"), "it is not UTF-8"),
    ("a.txt", b"half \xed\xa0\x80 a pair", "it is not UTF-8"),
    ("a.txt", b"a cat\na red\x00circle\n", "a.txt:2 has a control character (U+0000)"),
    ("a.txt", b"a \x1b[31mred cat\n", "a.txt:1 has a control character (U+001B)"),
    ("a.txt", b"a cat\n\x0c\n", "a.txt:2 has a control character (U+000C)"),
    ("a.txt", "a cat\u0085".encode(), "a.txt:1 has a control character (U+0085)"),
    (
        "a.txt",
        "one\n a\ufeffb".encode(),
        "a.txt:2 has a byte-order mark (U+FEFF) inside the prompt",
    ),
    ("a.csv", b"", "has no column for the prompts; name one 'prompt' in its first line"),
    (
        "a.csv",
        b"words\na cat\n",
        (
            "has no column for the prompts; name one 'prompt' in its first line; it is 'words',"
            " read with a comma"
        ),
    ),
    ("a.csv", b"id;prompt\n1;a cat\n", "it is 'id;prompt', read with a comma between fields"),
    ("a.csv", b"sep=;\nid;prompt\n", "it is 'sep=;'"),
    ("a.csv", b"prompt,prompt\na,b\n", "has 2 columns 'prompt'"),
    ("a.csv", b"prompt\n", "the prompt file a.csv has no prompt"),
    (
        "a.csv",
        b'id,prompt\n1,"unclosed\n2,a bird\n3,a fish\n',
        "a.csv:2 has a quotation mark that is not closed",
    ),
    (
        "a.csv",
        b'id,prompt\n1,a bird\n2,"a" fish\n',
        "a.csv:3 has text after a closing quotation mark",
    ),
    (
        "a.csv",
        b'id,prompt\n1,"a \\"red\\" fish"\n',
        "a.csv:2 has text after a closing quotation mark",
    ),
    ("a.csv", b"id,prompt\n1,a bird, a fish\n", "a.csv:2 has 3 fields, and the header has 2"),
    ("a.csv", b'id,prompt\n"\n\n",a\n3\n', "a.csv:5 has 1 field, and the header has 2"),
    (
        "a.csv",
        b'id,prompt\n1,a cat\n2,"' + b"a long row\n" * 20_000,
        "a.csv:3 has a quotation mark that is not closed",
    ),
    (
        "a.csv",
        b'id,prompt\n"1\n2",a cat\n"3\n\n4","a ""bird""\n5,a 12" fish\n',
        "a.csv:6 has text after a closing",
    ),
    (
        "a.csv",
        b'id,prompt\n"1\n2",a cat\n"3\n\n4","a ""bird""\n5,a fish\n',
        "a.csv:6 has a quotation mark that is not closed",
    ),
    (
        "a.csv",
        b'prompt\n"a cat\n' + b"a dog\n" * 5,
        "a.csv:2 has a quotation mark that is not closed",
    ),
    ("a.csv", b"id,prompt\n1,a\x00cat\n", "a.csv:2 has a control character (U+0000)"),
    ("a.tsv", b'prompt\tx\n"a"\t1\n"b\t2\n', "a.tsv:3 has a quotation mark that is not closed"),
    (
        "a.tsv",
        b"prompt\tx\na cat\n",
        "a.tsv:2 has 1 field, and the header has 2; put a prompt that has a tab in it",
    ),
    ("a.jsonl", b'"a cat"\n{', "a.jsonl:2 is not JSON"),
    ("a.jsonl", b'{"words": "a cat"}', "a.jsonl:1 is not a prompt"),
    ("a.jsonl", b'{"prompt": null}', "a.jsonl:1 is not a prompt"),
    ("a.jsonl", b"7", "a.jsonl:1 is not a prompt"),
    ("a.jsonl", b'["a cat"]', "a.jsonl:1 is not a prompt"),
    (
        "a.jsonl",
        b'"a cat"\n{"prompt": "a \\ud83d cat"}\n',
        "a.jsonl:2 has half of a surrogate pair, which is not valid Unicode (U+D83D)",
    ),
    ("a.jsonl", b'"lone \\udc00"', "a.jsonl:1 has half of a surrogate pair"),
    ("a.jsonl", b'"a\\u0000b"', "a.jsonl:1 has a control character (U+0000)"),
    (
        "a.jsonl",
        b'{"prompt": "a", "prompt": "b"}',
        "a.jsonl:1 is not JSON: it has the key 'prompt' twice",
    ),
    ("a.jsonl", b"[" * 100_000 + b"]" * 100_000, "a.jsonl:1 is nested too deeply"),
    ("a.jsonl", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "a.jsonl:1 is nested too deeply"),
    ("a.json", b"[" * 100_000, "a.json is nested too deeply"),
    ("a.json", b'"a cat"\n"a dog"\n', "a.json is not JSON"),
    ("a.json", b'{"prompt": "a cat"}', "a.json is not a list of texts"),
    ("a.json", b"[]", "the prompt file a.json has no prompt"),
    ("a.json", b'["a cat", 7]', "a.json: entry 2 is not a prompt"),
    ("a.json", b'["a cat", "\\ud800"]', "a.json: entry 2 has half of a surrogate pair"),
    (
        "a.md",
        b"a cat\n",
        (
            "the prompt file ./a.md ends in '.md'; a prompt file ends in .txt, .csv, .tsv, .jsonl"
            " or .json"
        ),
    ),
    ("a.yaml", b"- a cat\n", "ends in '.yaml'; a prompt file ends in"),
]
"""Name, content, and what is said of it: one line."""


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_bad_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_prompt_file(Path(name))
    assert message.replace("./", "") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for path, message in (
        (tmp_path, "Is a directory"),
        (tmp_path / "none.txt", "No such file"),
        (tmp_path / "pipe.txt", "it is a device or a pipe"),
        (Path("/dev/zero"), "it is a device or a pipe"),
        (tmp_path / ("x" * 5000 + ".txt"), "File name too long"),
    ):
        with pytest.raises(UsageError, match=message):
            read_prompt_file(path)


def test_a_name_that_cannot_be_printed_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\udcff.txt"
    path.write_text("\n")
    with pytest.raises(UsageError, match=r"a\\x1b\[31m\\udcff\.txt"):
        read_prompt_file(path)
    path.write_text("a cat\n")
    assert read_prompt_file(path).name == "a_[31m_.txt"


def test_a_very_long_path_is_cut_in_a_message() -> None:
    with pytest.raises(UsageError) as caught:
        read_prompt_file(Path("/" + "x" * 5000 + "/end.txt"))
    assert "xxx/end.txt cannot be read (File name too long)" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_is_told_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        f'prompt\na cat\na cat \n"a cat\nof two lines"\n{"long " * 3014}\na cat\n'
    )
    repeats, long, lines = read_prompt_file(tmp_path / "p.csv").notes
    assert repeats == "p.csv: 2 prompts repeat earlier ones and are left out"
    assert long.startswith(
        "p.csv: 1 prompt has more than 1,000 characters, the longest 15,069; a text encoder reads"
        " the first 77 tokens"
    )
    assert lines == "p.csv: 1 prompt has several lines; the first begins 'a cat\\nof two lines'"
    (tmp_path / "p.txt").write_text("a cat\na dog\n")
    assert read_prompt_file(tmp_path / "p.txt").notes == ()


def test_a_published_file_keeps_its_repeats_and_has_no_gaps(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('["a", "b", "a"]')
    assert read_every_prompt(tmp_path / "p.json") == ("a", "b", "a")
    (tmp_path / "p.json").write_text('["a", "\\ufeff ", "a"]')
    with pytest.raises(UsageError, match=r"p\.json: entry 2 is empty"):
        read_every_prompt(tmp_path / "p.json")


def test_what_is_meant_as_a_prompt_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.md").write_text("x")
    Path("folder").mkdir()
    for text in (
        "p.txt",
        "P.JSON",
        "../p.tsv",
        "./p",
        "/p",
        "notes.md",
        "a:b=c.jsonl",
        "x" * 5000 + ".csv",
    ):
        assert is_prompt_file(text), text
    for text in (
        "parti",
        "geneval:color",
        "gone.md",
        "folder",
        "suite:detector=a/b",
        "",
        "x" * 5000,
    ):
        assert not is_prompt_file(text), text


@pytest.mark.skipif(
    not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder with the real prompt files"
)
def test_parti_prompts_as_a_file_are_the_suite_s() -> None:
    path = Path(os.environ[VARIABLE]) / "partiprompts/PartiPrompts.tsv"
    assert read_prompt_file(path).texts == tuple(prompt.text for prompt in parti().prompts())


CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufeff"
) | st.sampled_from("\n\t\",;'\\ \u2028")
PROMPTS = st.lists(
    st.text(CHARACTERS, min_size=1, max_size=20).map(str.strip).filter(bool),
    min_size=1,
    max_size=5,
    unique=True,
)
once = settings(deadline=None, max_examples=200)


def read(folder: Path, name: str, content: str, encoding: str) -> list[str]:
    (folder / name).write_bytes(content.encode(encoding))
    return list(read_prompt_file(folder / name).texts)


@once
@given(
    PROMPTS,
    st.sampled_from([("p.csv", ","), ("p.tsv", "\t")]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(COLUMNS),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_tables_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    prompts: list[str],
    kind: tuple[str, str],
    end: str,
    quoting: Any,
    column: str,
    encoding: str,
) -> None:
    name, delimiter = kind
    file = io.StringIO(newline="")
    table = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    table.writerows([["id", column], *([number, prompt] for number, prompt in enumerate(prompts))])
    assert read(tmp_path_factory.getbasetemp(), name, file.getvalue(), encoding) == prompts


@once
@given(
    PROMPTS,
    st.sampled_from(["p.json", "p.jsonl"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_json_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    prompts: list[str],
    name: str,
    escaped: bool,
    objects: bool,
    encoding: str,
) -> None:
    values = [{"id": 1, "prompt": prompt} if objects else prompt for prompt in prompts]
    if name == "p.json":
        content = json.dumps(values, ensure_ascii=escaped, indent=2)
    else:
        content = "".join(json.dumps(value, ensure_ascii=escaped) + "\n" for value in values)
    assert read(tmp_path_factory.getbasetemp(), name, content, encoding) == prompts


@once
@given(
    PROMPTS.map(lambda prompts: [text for text in prompts if "\n" not in text] or ["a"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_lines_round_trip(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[str], end: str
) -> None:
    assert read(tmp_path_factory.getbasetemp(), "p.txt", end.join(prompts), "utf-8") == prompts


@once
@given(
    st.sampled_from(["p", "p.txt", "p.csv", "p.tsv", "p.json", "p.jsonl"]),
    st.binary(max_size=60),
    st.sampled_from([b"", b"prompt\n", b"["]),
)
def test_any_bytes_are_prompts_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes, first: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(first + content)
    told = ""
    try:
        texts = read_prompt_file(path).texts
    except UsageError as error:
        texts, told = (), str(error)
    assert bool(texts) != bool(told)
    assert told.isprintable()
    for text in texts:
        text.encode()
        assert text == text.strip() != ""
        assert not {
            unicodedata.category(character) for character in text if character not in "\t\n"
        } & {"Cc", "Cs"}
