"""How the settings of a study are made."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal, TypeVar

from hydrasurr.models.pair_quantize import FORMATS
from hydrasurr.strict import Strict, override, parse

Format = Literal[FORMATS]
Settings = TypeVar("Settings", bound=Strict)


def load_settings(
    model: type[Settings], start: dict[str, Any], overrides: list[str] | None, size: dict[str, int | None], command: str
) -> Settings:
    """Defaults changed by `start`, then by those of `size` that are not None, then by `key.subkey=value` overrides.

    Raises ConfigError naming the command and the key.
    """
    raw = deepcopy(start) | {key: value for key, value in size.items() if value is not None}
    override(raw, overrides or [])
    return parse(model, raw, command, overrides or [])
