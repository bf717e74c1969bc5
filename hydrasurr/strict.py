"""Strict typed JSON: the base of all configurations, with errors that name the file and the key."""

from __future__ import annotations

import json
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
    """Parse a JSON file. Raises ConfigError naming the file, line and column."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no file '{path}'") from None
    except IsADirectoryError:
        raise ConfigError(f"'{path}' is a folder, a JSON file is expected") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"'{path}' is not a UTF-8 text file: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"'{path}', line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error


def parse(model: type[Model], raw: Any, where: str | Path) -> Model:
    """Validate `raw` as `model`. Raises ConfigError with one line a problem, each naming the key."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {_problem(model, problem)}" for problem in error.errors()]
        raise ConfigError("\n".join([f"'{where}' is not valid:", *lines])) from error


def _problem(model: type[BaseModel], problem: Any) -> str:
    location = list(problem["loc"])
    key = ".".join(map(str, location))
    if problem["type"] == "extra_forbidden":
        section, names = _section(model, location[:-1])
        return f"{key}: unknown key{did_you_mean(str(location[-1]), names)}" if section else f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: this key is required"
    value = problem.get("input")
    shown = "" if isinstance(value, dict) else f" (got {json.dumps(value, default=str)})"
    return f"{key or 'top level'}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def _section(model: type[BaseModel], location: list[Any]) -> tuple[type[BaseModel] | None, list[str]]:
    """The section a location leads to, and its keys; list positions and union tags are stepped over."""
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        choices = _models_in(field.annotation) if field else [model]
        tagged = [m for m in choices if part in _tags(m)]
        model = (tagged or choices or [model])[0]
        if field is not None and len(choices) > 1:
            tag = next((p for p in location if isinstance(p, str) and any(p in _tags(m) for m in choices)), None)
            model = next((m for m in choices if tag in _tags(m)), choices[0])
    return model, list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """All configuration sections named in a type, through unions, lists and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of a section's discriminator key `type`, if it has one."""
    field: FieldInfo | None = model.model_fields.get("type")
    return tuple(getattr(field.annotation, "__args__", ())) if field else ()
