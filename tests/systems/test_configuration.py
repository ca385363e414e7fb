"""One setting is changed, and every other byte stays as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.systems.configuration import changed, read, sounds_secret, value
from app.systems.far_side import FarSideError

YAML = """\
# head
training:
  batch_size: 32   # per device
  name: 'run "one"'
  rates: [1.0, 0.5]

  # about the tail
stages:
- image: a
  at: {x: 1}
text: |
  two
  lines
empty:
"""
JSON = '{\n\t"a": 1,\n\t"b": {"c": "x\\ty/\\u00e9\\ud83d\\ude00"},\n\t"l": [1, 2]\n}\n'
TOML = """\
# top
title = "x" # said
[train]
batch = 32   # keep
names = ["a", 'b']

[other]
z = 1
"""


def swap(path: str, text: str, key: str, to: object) -> str:
    """The text afterwards, line ends and all."""
    return changed(text.encode(), path, key, to).decode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "key", "to", "before", "after"),
    [
        ("c.yaml", "training.batch_size", 16, "32   #", "16   #"),
        ("c.yaml", "training.batch_size", True, "32   #", "true   #"),
        ("c.yaml", "training.name", "it's", "'run \"one\"'", "'it''s'"),
        ("c.yaml", "training.name", "a: #", "'run \"one\"'", "'a: #'"),
        ("c.yaml", "training.name", "two\nlines", "'run \"one\"'", '"two\\nlines"'),
        ("c.yaml", "training.rates.1", 1e-05, "0.5]", "1.0e-05]"),
        ("c.yaml", "training.gc", True, "0.5]\n", "0.5]\n  gc: true\n"),
        ("c.yaml", "stages.0.image", "b", "image: a", "image: b"),
        ("c.yaml", "stages.0.more", "no", "{x: 1}\n", "{x: 1}\n  more: 'no'\n"),
        ("c.yaml", "stages.0.at.y", 2, "{x: 1}", "{x: 1, y: 2}"),
        ("c.yaml", "empty", "full", "empty:\n", "empty: full\n"),
        ("c.yml", "last", "1", "empty:\n", "empty:\nlast: '1'\n"),
        ("c.json", "a", 2, '"a": 1', '"a": 2'),
        ("c.json", "b.c", "é\n", '"x\\ty/\\u00e9\\ud83d\\ude00"', '"é\\n"'),
        ("c.json", "b.new", False, '\\ude00"}', '\\ude00", "new": false}'),
        ("c.json", "l.0", 1.0, "[1,", "[1.0,"),
        ("c.json", "new", "x", "[1, 2]", '[1, 2],\n\t"new": "x"'),
        ("c.toml", "train.batch", 16, "32   #", "16   #"),
        ("c.toml", "train.names.1", "c", "'b'", '"c"'),
        ("c.toml", "title", "y", '"x" #', '"y" #'),
        ("c.toml", "train.gc", True, "'b']\n", "'b']\ngc = true\n"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_only_this_changes(path: str, key: str, to: object, before: str, after: str, line_end: str) -> None:
    text = {"yaml": YAML, "yml": YAML, "json": JSON, "toml": TOML}[path.partition(".")[2]]
    assert text.count(before) == 1
    text, before, after = (one.replace("\n", line_end) for one in (text, before, after))
    assert swap(path, text, key, to) == text.replace(before, after)


@pytest.mark.parametrize(
    ("path", "text", "key", "says"),
    [
        ("c.yaml", "a: &x {b: 1}\nc: *x\n", "a.b", "cannot be changed without changing something else"),
        ("c.yaml", "a: 1\na: 2\n", "a", "cannot be changed without changing something else"),
        ("c.yaml", "a: {b: 1}\n", "a", "a holds other settings"),
        ("c.yaml", "a: {}\n", "a.b", "no neighbours"),
        ("c.yaml", "a: 1\n", "b.c", "nothing that could hold b.c"),
        ("c.yaml", "- 1\n", "1", "nothing that could hold 1"),
        ("c.yaml", "a: !!python/name:os.system\n", "a", "no readable yaml"),
        ("c.yaml", "a: [\n", "a", "no readable yaml"),
        ("c.json", "{'a': 1}", "a", "no readable json"),
        ("c.toml", "a = ", "a", "no readable toml"),
        ("c.yaml", "a: '\xff'", "a", "no readable yaml"),
        ("Makefile", "a: 1", "a", "settings are changed in .yaml, .yml, .json and .toml files"),
        ("c.yaml", "a: " + "x" * 1_000_000, "a", "more than the 1,000,000 bytes"),
    ],
)
def test_what_cannot_be_done_so_is_refused(path: str, text: str, key: str, says: str) -> None:
    with pytest.raises(FarSideError, match=says) as error:
        changed(text.encode("latin-1" if "\xff" in text else "utf-8"), path, key, 5)
    assert not error.value.again


def test_a_value_that_stands_there_already_changes_nothing() -> None:
    assert swap("c.yaml", YAML, "training.batch_size", 32) == YAML


def test_values_are_found_by_their_key() -> None:
    held = read(YAML.encode(), "c.yaml")
    assert (value(held, "training.batch_size"), value(held, "stages.0.image")) == (32, "a")
    assert (value(held, "stages.1"), value(held, "training.batch_size.x"), value(held, "no")) == (None,) * 3


SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(), st.text())


@given(path=st.sampled_from(["c.yaml", "c.json", "c.toml"]), to=SCALARS)
def test_any_value_reads_back_as_it_was_meant_or_is_refused(path: str, to: bool | int | float | str) -> None:
    text = {
        "c.yaml": "a: 1 # one\nb: x\n",
        "c.json": '{"a": 1, "b": "x"}',
        "c.toml": 'a = 1 # one\nb = "x"\n',
    }[path]
    try:
        after = read(changed(text.encode(), path, "a", to), path)
    except FarSideError:
        return
    assert repr(after) == repr({"a": to, "b": "x"})


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("db.password", True),
        ("api_key", True),
        ("github.token", True),
        ("clientSecret", True),
        ("max_tokens", False),
        ("token_limit", False),
        ("batch_size", False),
    ],
)
def test_names_of_secrets(key: str, secret: bool) -> None:
    assert sounds_secret(key) is secret
