"""The client of an OpenAI-compatible endpoint, and what its failures mean here."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import openai
from pydantic import SecretStr

from forebay_workers.models.errors import (
    ModelError,
    ModelRefused,
    ModelReplyInvalid,
    ModelThrottled,
    ModelUnavailable,
)

_TOO_MANY_REQUESTS = 429
_REQUEST_TIMEOUT = 408
_CONFLICT = 409  # some gateways say so while a model is loading
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model listens.

    `timeout_seconds` bounds the connection and every silence in a reply, not the whole reply.
    """

    base_url: str
    api_key: SecretStr
    timeout_seconds: float


def client_of(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """Make a client that never retries: retries belong to the record loop, which sees them."""
    # Without a key the client would pick up OPENAI_API_KEY and send it to this endpoint.
    key = endpoint.api_key.get_secret_value() or "none"
    client = openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=key,
        max_retries=0,
        timeout=endpoint.timeout_seconds,
        # Its parser is compiled: a streamed answer costs a third of the processor time.
        http_client=openai.DefaultAioHttpClient(timeout=endpoint.timeout_seconds),
    )
    # It takes these from the environment, too: an account's names are not for every endpoint.
    client.organization = client.project = None
    return client


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the client's errors into `ModelError`, dropping whatever text they carry."""
    try:
        yield
    except openai.APIStatusError as error:
        # From None: the cause holds the request with its headers and the prompt.
        raise _of_status(error) from None
    except (openai.APITimeoutError, httpx2.TimeoutException):
        message = "the model endpoint was silent for too long"
        raise ModelUnavailable(message) from None
    except (openai.APIConnectionError, httpx2.HTTPError):
        message = "the connection to the model endpoint failed or broke off"
        raise ModelUnavailable(message) from None
    except openai.APIResponseValidationError:
        message = "the model endpoint's reply is not of the agreed shape"
        raise ModelReplyInvalid(message) from None
    except openai.APIError:
        message = "the model endpoint reported an error inside its stream"
        raise ModelUnavailable(message) from None
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        # The client checks little: a reply of another shape surfaces as one of these.
        message = "the model endpoint's reply cannot be read"
        raise ModelReplyInvalid(message) from None


def _of_status(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    if status == _TOO_MANY_REQUESTS:
        return ModelThrottled(_seconds(error.response.headers.get("retry-after")))
    if status >= _SERVER_ERROR or status in {_REQUEST_TIMEOUT, _CONFLICT}:
        return ModelUnavailable(f"the model endpoint answered HTTP {status}")
    return ModelRefused(f"the model endpoint refused with HTTP {status}")


def _seconds(retry_after: str | None) -> float | None:
    """Read the delay form of Retry-After (RFC 9110, 10.2.3); a date counts as unsaid."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
