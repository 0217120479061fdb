"""Seconds as the contract carries them."""

from google.protobuf.duration_pb2 import Duration


def duration(seconds: float) -> Duration:
    """A google.protobuf.Duration, to the nanosecond."""
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message
