"""What the server does to its callers: one frozen value, replaced as a whole."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["chat", "embeddings"]
_Seconds = Annotated[float, Field(ge=0, le=86_400)]
_Count = Annotated[int, Field(ge=0)]


class Behaviour(BaseModel):
    """The defaults behave: prompt, sound and complete answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[Kind, ...] = Field(
        default=("chat", "embeddings"),
        description="Which calls misbehave; the others are served well.",
    )
    first_token_seconds: _Seconds = Field(
        default=0.0, description="Wait before an answer's first token."
    )
    embedding_seconds: _Seconds = Field(default=0.0, description="Wait before vectors are sent.")
    tokens_per_second: _Seconds = Field(default=0.0, description="Pace of an answer; 0: no pause.")
    answer_tokens: _Count = Field(
        default=0, description="Length of every answer; 0: as long as it is."
    )
    reply: str = Field(default="", description="Answer this, whatever is asked; empty: a quote.")
    keep_requests: bool = Field(
        default=False, description="Keep the bodies of chat calls in the record of calls."
    )
    echo: bool = Field(default=False, description="Quote the request in refusals, as some do.")
    throttle_first: _Count = Field(
        default=0, description="Answer 429 to the first N calls from now on."
    )
    throttle_above: float = Field(
        default=0.0, ge=0, description="Answer 429 above N calls/s; 0: never."
    )
    retry_after_seconds: _Seconds = Field(default=1.0, description="The Retry-After of a 429.")
    error_probability: float = Field(
        default=0.0, ge=0, le=1, description="Share of calls answered 500."
    )
    seed: int = Field(default=0, description="Seed of the dice behind error_probability.")
    refuse_status: int = Field(default=0, description="Answer this status to every call; 0: never.")
    hang: Literal["never", "before", "midway"] = Field(
        default="never", description="Fall silent before the reply, or in the middle of a stream."
    )
    cut_after_chunks: int = Field(
        default=-1, ge=-1, description="Break the connection after N chunks of a stream; -1: never."
    )
    unfinished: bool = Field(
        default=False, description="End streams cleanly, but without finish_reason and [DONE]."
    )
    malformed: Literal["never", "json", "shape"] = Field(
        default="never", description="Send text that is no JSON, or JSON of another shape."
    )
    vectors: Literal["sound", "short", "nan", "zero", "missing", "reversed"] = Field(
        default="sound",
        description="What is wrong with the vectors; reversed: out of order, by index.",
    )
    usage: bool = Field(default=True, description="Report token counts in streams.")
