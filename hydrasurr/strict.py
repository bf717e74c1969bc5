"""Strict typed JSON: the base of all configurations, with errors that name the file and the key."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from hydrasurr.errors import ConfigError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A section of a configuration: unknown keys are errors, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def read_json(path: str | Path) -> Any:
    """Parse a JSON file. Raises ConfigError naming the file, line and column, or a key that is given twice."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique_keys)
    except FileNotFoundError:
        raise ConfigError(f"no file '{path}'") from None
    except IsADirectoryError:
        raise ConfigError(f"'{path}' is a folder, a JSON file is expected") from None
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"'{path}' is not a UTF-8 text file: {error}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"'{path}', {place}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise ConfigError(f"'{path}': {error}") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    section = dict(pairs)
    if len(section) < len(pairs):
        twice = next(key for key in section if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"key '{twice}' is given twice in one section")
    return section


def override(raw: dict[str, Any], settings: Iterable[str]) -> None:
    """Set keys of a parsed configuration, in place, from `key.subkey=value`; the value is JSON or a bare word.

    Raises ConfigError for what is no such setting.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {setting}: expected key=value, such as training.epochs=3")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text  # a bare word is a string
        section = raw
        *parents, last = keys = key.split(".")
        for depth, parent in enumerate(parents, 1):
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise _no_section(setting, ".".join(keys[:depth]), section, keys[depth:], value)
        section[last] = value


def _no_section(setting: str, path: str, found: Any, keys: list[str], value: Any) -> ConfigError:
    """The error for a setting of `keys` within something else than a section."""
    for key in reversed(keys):
        value = {key: value}
    whole = "[...]" if isinstance(found, list) else json.dumps(value)
    return ConfigError(
        f"--set {setting}: '{path}' is {json.dumps(found)}, which is no section with keys; "
        f"set it as a whole: --set '{path}={whole}'"
    )


def parse(model: type[Model], raw: Any, where: str | Path, settings: Iterable[str] = ()) -> Model:
    """Validate `raw` as `model`; `settings` are those that `override` has put into it.

    Raises ConfigError with one line a problem, each naming the key, and the setting if that is where it comes from.
    """
    settings = list(settings)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = error.errors()
        lines = dict.fromkeys(f"  {_describe(p, model, raw)}{_origin(p, raw, settings)}" for p in problems)
        raise ConfigError("\n".join([f"'{where}' is not valid:", *lines])) from error


def _origin(problem: Any, raw: Any, settings: list[str]) -> str:
    name = ".".join(map(str, _keys(problem["loc"], raw)))
    for setting in reversed(settings):  # the last one counts
        key = setting.partition("=")[0]
        if f"{name}.".startswith(f"{key}."):
            return f" (by --set {setting})"
    return ""


def _describe(problem: Any, model: type[BaseModel], raw: Any) -> str:
    keys = _keys(problem["loc"], raw)
    name = ".".join(map(str, keys)) or "top level"
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{'.'.join(map(str, [*keys, problem['loc'][-1]]))}: this key is required"
        case "extra_forbidden":
            return f"{name}: unknown key{did_you_mean(str(keys[-1]), _known_keys([model], keys[:-1], raw))}"
        case "union_tag_not_found":
            return f"{name}: needs a key {context['discriminator']}"
        case "union_tag_invalid":
            tags = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return f"{name}: no {context['discriminator']} '{context['tag']}'{did_you_mean(context['tag'], tags)}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
        message = "Input should be a section in braces"
    value = problem.get("input")
    shown = "" if isinstance(value, dict) else f" (got {json.dumps(value, default=str)})"
    return f"{name}: {message}{shown}"


def _keys(location: tuple[Any, ...], raw: Any) -> list[Any]:
    """The keys of a location as in the JSON: pydantic puts tags and type names of unions in between."""
    keys = []
    for part in location:
        if (isinstance(raw, dict) and part in raw) or (isinstance(raw, list | tuple) and isinstance(part, int)):
            keys.append(part)
            raw = raw[part]
    return keys


def _known_keys(choices: list[type[BaseModel]], keys: list[Any], raw: Any) -> list[str]:
    """The keys of the section at `keys`; of a union's sections, those of the one that `type` names."""
    tag = raw.get("type") if isinstance(raw, dict) else None
    model = next((m for m in choices if tag in _tags(m)), choices[0])
    if not keys:
        return list(model.model_fields)
    field = model.model_fields.get(keys[0])
    deeper = _models_in(field.annotation) if field else []
    return _known_keys(deeper or choices, keys[1:], raw[keys[0]])  # positions and names of items are stepped over


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """All configuration sections named in a type, through unions, lists and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of a section's discriminator key `type`, if it has one."""
    field: FieldInfo | None = model.model_fields.get("type")
    return getattr(field.annotation, "__args__", ()) if field else ()
