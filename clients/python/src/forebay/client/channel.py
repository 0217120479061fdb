"""The gRPC channel."""

import grpc
import grpc.aio

from forebay.client.credentials import Tls, channel_credentials

_MESSAGE_BYTES = 16 * 1024 * 1024  # twice the largest record: passages and framing fit
_KEEPALIVE_MS = 30_000  # a server that vanished is noticed within this and the next
_KEEPALIVE_TIMEOUT_MS = 10_000
_RECONNECT_MS = 1_000  # a restarted server is found again within about a second

OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS),
    # Of several addresses a call takes the next: a draining one is left at once.
    ("grpc.lb_policy_name", "round_robin"),
    # Attempts are counted and identified here, with the deadline of the whole call.
    ("grpc.enable_retries", 0),
)


def open_channel(target: str, tls: Tls) -> grpc.aio.Channel:
    """A channel to `host:port` or any gRPC target name; connects with the first call."""
    credentials = channel_credentials(target, tls)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=OPTIONS)
