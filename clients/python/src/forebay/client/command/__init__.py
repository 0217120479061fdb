"""The `forebay` command."""

import os

# gRPC's documented default. Unset, it writes connection notices between the command's lines.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from forebay.client.command.root import main

__all__ = ["main"]
