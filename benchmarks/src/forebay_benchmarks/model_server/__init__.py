"""An OpenAI-compatible model server that misbehaves on request, for tests and measurements.

It is real HTTP in a process of its own: what a client survives here, it survives on a socket.
"""

from forebay_benchmarks.model_server.behaviour import Behaviour
from forebay_benchmarks.model_server.process import ModelServer

__all__ = ["Behaviour", "ModelServer"]
