"""YAML and `key=value` arguments -> a strict, frozen config; an unknown key fails with the nearest valid name."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from autosing.errors import InputError


class Config(BaseModel):
    """The base of every config: unknown keys are errors, values are not coerced, and a config cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    @classmethod
    def build(cls, values: Mapping[str, Any], origin: str = "config") -> Self:
        """Validate plain values (as YAML or JSON gives them). Raises InputError naming the key and the remedy."""
        try:
            return cls.model_validate_json(json.dumps(values))
        except TypeError as error:  # types of YAML that JSON lacks: dates, sets, bytes
            raise InputError(
                f"{origin}: a value is neither number, text, list nor mapping ({error}); quote values that are text"
            ) from None
        except ValidationError as error:
            raise InputError(f"{origin}: " + "; ".join(_explain(cls, e) for e in error.errors())) from None

    def dump(self) -> dict[str, Any]:
        """The resolved values as plain JSON types."""
        return self.model_dump(mode="json")


C = TypeVar("C", bound="Config")


class _Yaml(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2; YAML 1.1 only knows 1.0e-3."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load_config(cls: type[C], path: Path | None = None, overrides: Sequence[str] = (), **defaults: Any) -> C:
    """defaults < the YAML file at `path` < overrides (`a.b=3`, the value read as YAML) -> a validated config."""
    values: dict[str, Any] = dict(defaults)
    if path is not None:
        values = _merge(values, read_yaml(path))
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(f"override {word!r}: found no key=value; write for example --set batch_size=8")
        try:
            value: Any = yaml.load(text, _Yaml)
        except yaml.YAMLError as error:
            found = str(error).splitlines()[0]
            raise InputError(
                f"override {word!r}: {text!r} is not readable as YAML ({found}); correct or quote it"
            ) from None
        for part in reversed(key.split(".")):
            value = {part: value}
        values = _merge(values, value)
    return cls.build(values, origin=str(path) if path else cls.__name__)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file (an empty file is an empty mapping)."""
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"config {path}: {found}; give a YAML file, or omit --config for the defaults")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    except OSError as error:
        raise InputError(f"config {path}: cannot be read ({error.strerror}); correct its permissions") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"config {path}: not readable as YAML ({error}); correct the file") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"config {path}: found a {type(values).__name__}, need a mapping of key: value")
    return values


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _explain(cls: type[BaseModel], error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{location}: {error['msg']} (found {error['input']!r})"
    owner: Any = cls
    for part in error["loc"][:-1]:
        field = getattr(owner, "model_fields", {}).get(part)
        owner = field.annotation if field else None
    known = list(getattr(owner, "model_fields", {}))
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {location!r}; {hint}"
