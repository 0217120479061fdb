"""Files that operators write: YAML, read strictly, with errors that name the field."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)


class StrictModel(BaseModel):
    """A part of a configuration file: frozen, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConfigurationInvalid(Exception):
    """A configuration file, or a variable, breaks a rule; the text names both."""


def read_model(path: Path, model: type[ModelT]) -> ModelT:
    """Read a YAML file as a model; ConfigurationInvalid when it cannot be read or breaks a rule."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigurationInvalid(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{path}: not YAML: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationInvalid("\n".join(broken_rules(error, f"{path}: "))) from error


def broken_rules(error: ValidationError, prefix: str) -> list[str]:
    """A line per broken rule: prefix, field and rule, never the value, which may be a secret."""
    return [
        f"{prefix}{'.'.join(str(part) for part in broken['loc']) or 'the whole'}: {broken['msg']}"
        for broken in error.errors(include_input=False, include_url=False)
    ]
