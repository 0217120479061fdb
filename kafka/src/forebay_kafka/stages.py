"""How stages are called: in settings and keys, and as consumer groups."""

from __future__ import annotations

from forebay.records.v1 import Stage

GROUP_PREFIX = "forebay."


def stage_word(stage: Stage.ValueType) -> str:
    """A stage as settings, keys and people write it: `embedding`."""
    return Stage.Name(stage).removeprefix("STAGE_").lower()


def group_of(stage: Stage.ValueType) -> str:
    """The consumer group of a stage."""
    return f"{GROUP_PREFIX}{stage_word(stage)}"


STAGES = {stage_word(stage): stage for stage in Stage.values() if stage}
