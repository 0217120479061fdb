"""Files that operators write: YAML, read strictly, with errors that name line, field and rule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.governance.strict_yaml import YamlRefused, parse_yaml

ModelT = TypeVar("ModelT", bound=BaseModel)


class StrictModel(BaseModel):
    """A part of a configuration file: frozen, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_model(content: bytes, model: type[ModelT], path: Path) -> ModelT:
    """The model that the bytes of a file hold; ConfigurationInvalid has a line per broken rule."""
    try:
        document = parse_yaml(content)
    except YamlRefused as error:
        raise ConfigurationInvalid(f"{path}:{error.line}: not YAML: {error.rule}") from error
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        broken = error.errors(include_input=False, include_url=False)
        texts = [_broken_rule(rule, path, document.lines) for rule in broken]
        raise ConfigurationInvalid("\n".join(texts)) from error


def _broken_rule(broken: ErrorDetails, path: Path, lines: Mapping[Any, int]) -> str:
    """Line, field and rule, never the value, which may be a secret."""
    # A rule over several fields says by itself where it was broken.
    place = (*broken["loc"], *broken.get("ctx", {}).get("place", ()))
    field = ".".join(str(part) for part in place) or "the whole"
    known = next((place[:end] for end in range(len(place), 0, -1) if place[:end] in lines), None)
    line = "" if known is None else f"{lines[known]}:"
    return f"{path}:{line} {field}: {broken['msg']}"
