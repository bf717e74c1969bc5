"""Strict JSON: every mistake is an error that names the file and the key, as the user wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, field_validator

from hydrasurr.errors import ConfigError, HydrasurrError, SchemaError, StoreError, did_you_mean, missing_extra
from hydrasurr.strict import Strict, parse, read_json


class Chain(Strict):
    type: Literal["chain"] = "chain"
    links: int = Field(2, gt=0)


class Tree(Strict):
    type: Literal["tree"]
    branches: int = 3


Shape = Annotated[Chain | Tree, Field(discriminator="type")]


class Part(Strict):
    width: float
    """In metres."""


class Machine(Strict):
    name: str
    size: int = Field(5, ge=1)
    mode: Literal["auto", "manual"] = "auto"
    shape: Shape = Chain()
    shapes: list[Shape] = []
    parts: tuple[Part, ...] = ()
    spare: Part | None = None
    named: dict[str, Part] = {}
    limit: float | Literal["none"] = 1.0

    @field_validator("name")
    @classmethod
    def _no_blanks(cls, value: str) -> str:
        if " " in value:
            raise ValueError("a name has no blanks")
        return value


def problems(raw: Any) -> list[str]:
    """The lines of the error, without the first, which names the file."""
    with pytest.raises(ConfigError) as caught:
        parse(Machine, raw, "machine.json")
    first, *lines = str(caught.value).splitlines()
    assert first == "'machine.json' is not valid:"
    return [line.strip() for line in lines]


def test_a_valid_section() -> None:
    raw = {
        "name": "m",
        "shape": {"type": "tree", "branches": 4},
        "shapes": [{"type": "chain"}],
        "parts": [{"width": 1}],
        "spare": None,
        "named": {"left": {"width": 2.5}},
        "limit": "none",
    }
    machine = parse(Machine, raw, "machine.json")
    assert machine.shape == Tree(type="tree", branches=4)
    assert machine.parts == (Part(width=1.0),)
    assert machine.named["left"].width == 2.5
    assert json.loads(machine.model_dump_json())["size"] == 5
    with pytest.raises(ValidationError, match="frozen"):
        machine.size = 3


@pytest.mark.parametrize(
    "change, line",
    [
        ({"nmae": 1}, "nmae: unknown key; did you mean 'name'?"),
        ({"zzz": 1}, "zzz: unknown key; known: name, size, mode, shape, shapes, parts, spare, named, limit"),
        ({"shape": {"type": "chain", "link": 1}}, "shape.link: unknown key; did you mean 'links'?"),
        ({"shape": {"type": "tree", "link": 1}}, "shape.link: unknown key; known: type, branches"),
        ({"shape": {"type": "tree", "branch": 1}}, "shape.branch: unknown key; did you mean 'branches'?"),
        ({"shape": {"type": "treee"}}, "shape: no 'type' 'treee'; did you mean 'tree'?"),
        ({"shape": {"links": 1}}, "shape: needs a key 'type'"),
        ({"shape": {"type": "chain", "links": 0}}, "shape.links: Input should be greater than 0 (got 0)"),
        ({"shapes": [{"type": "tree"}, {"type": "tree", "branc": 1}]}, "shapes.1.branc: unknown key; did you mean"),
        ({"parts": [{"width": 1}, {"widht": 1, "width": 1}]}, "parts.1.widht: unknown key; did you mean 'width'?"),
        ({"parts": [{}]}, "parts.0.width: this key is required"),
        ({"spare": {"width": 1, "widht": 1}}, "spare.widht: unknown key; did you mean 'width'?"),
        ({"spare": {}}, "spare.width: this key is required"),
        ({"named": {"left": {"width": 1, "weight": 1}}}, "named.left.weight: unknown key; did you mean 'width'?"),
        ({"named": {"left": {}}}, "named.left.width: this key is required"),
        ({"named": []}, "named: Input should be a section in braces (got [])"),
        ({"shape": None}, "shape: Input should be a section in braces (got null)"),
        ({"size": "many"}, 'size: Input should be a valid integer, unable to parse string as an integer (got "many")'),
        ({"size": 1.5}, "size: Input should be a valid integer, got a number with a fractional part (got 1.5)"),
        ({"size": 0}, "size: Input should be greater than or equal to 1 (got 0)"),
        ({"size": None}, "size: Input should be a valid integer (got null)"),
        ({"mode": "automatic"}, "mode: Input should be 'auto' or 'manual' (got \"automatic\")"),
        ({"name": "a b"}, 'name: a name has no blanks (got "a b")'),
        ({"spare": {"width": float("nan")}}, "spare.width: Input should be a finite number (got NaN)"),
        ({"spare": {"width": float("inf")}}, "spare.width: Input should be a finite number (got Infinity)"),
    ],
)
def test_one_mistake(change: dict[str, Any], line: str) -> None:
    (found,) = problems({"name": "m"} | change)
    assert found.startswith(line)


def test_every_mistake_is_told() -> None:
    assert problems({"size": 0, "wat": 1, "shape": {"type": "chain", "x": 1}, "parts": [{}, {"width": "w"}]}) == [
        "name: this key is required",
        "size: Input should be greater than or equal to 1 (got 0)",
        "shape.x: unknown key; known: type, links",
        "parts.0.width: this key is required",
        'parts.1.width: Input should be a valid number, unable to parse string as a number (got "w")',
        "wat: unknown key; did you mean 'parts'?",
    ]


def test_choices_of_a_plain_union_are_told_under_its_key() -> None:
    lines = problems({"name": "m", "limit": "never"})
    assert all(line.startswith("limit: Input should be ") for line in lines) and len(lines) == 2


@pytest.mark.parametrize("raw", [None, 3, "machine", [], [{"name": "m"}]])
def test_no_section_at_all(raw: Any) -> None:
    assert problems(raw) == [f"top level: Input should be a section in braces (got {json.dumps(raw)})"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "name", "width", "shape", "parts", "x"]) | st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([*Machine.model_fields, "x"])


@given(st.dictionaries(FIELDS, JSON) | JSON)
def test_any_json_is_valid_or_a_config_error(raw: Any) -> None:
    try:
        assert isinstance(parse(Machine, raw, "machine.json"), Machine)
    except ConfigError as error:
        assert len(str(error).splitlines()) > 1


# -- files ---------------------------------------------------------------------------------------------


def test_read_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"name": "\N{GREEK SMALL LETTER ALPHA}", "list": [1, 2.5, null]}', encoding="utf-8")
    assert read_json(path) == read_json(str(path)) == {"name": "\N{GREEK SMALL LETTER ALPHA}", "list": [1, 2.5, None]}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "line 1, column 1: not JSON: Expecting value"),
        (b'{"a": 1,\n "b": }', "line 2, column 7: not JSON: Expecting value"),
        (b'{"a": 1} {"b": 2}', "line 1, column 10: not JSON: Extra data"),
        (b'{"a": 1, // width\n}', "line 1, column 10: not JSON"),
        (b'{"a": 1, "b": {"c": 1, "d": 2, "c": 1}}', "key 'c' is given twice in one section"),
        (b'{"a": "\xff"}', "is not a UTF-8 text file"),
    ],
)
def test_no_json(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"'{path}'") and message in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file '.*a.json'"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ConfigError, match="is a folder, a JSON file is expected"):
        read_json(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot read '.*b.json': Not a directory"):
        read_json(tmp_path / "file" / "b.json")


# -- errors --------------------------------------------------------------------------------------------


def test_did_you_mean() -> None:
    assert did_you_mean("learning_rat", ["epochs", "learning_rate"]) == "; did you mean 'learning_rate'?"
    assert did_you_mean("xyz", iter(["epochs", "seed"])) == "; known: epochs, seed"


def test_all_errors_of_users_have_one_base() -> None:
    assert all(issubclass(error, HydrasurrError) for error in (ConfigError, SchemaError, StoreError))
    assert str(missing_extra("mpi4py", "mpi")) == (
        "this needs the Python package 'mpi4py', which is not installed: pip install 'hydrasurr[mpi]'"
    )
