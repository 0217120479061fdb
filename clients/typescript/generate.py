"""Generate the client's types from the contract: `python clients/typescript/generate.py [FILE]`.

The OpenAPI document says what HTTP carries, comments included; `openapi-typescript` turns it into
types. Without Node the committed types stay as they are; CI says whether they fit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from forebay_server.composition import SERVICES
from forebay_server.http.bindings import bindings_of
from forebay_server.http.comments import contract_comments
from forebay_server.http.openapi import openapi

HERE = Path(__file__).resolve().parent
COMMITTED = HERE / "src/schema.ts"
GENERATOR = HERE / "node_modules/openapi-typescript/bin/cli.js"
CONTRACT_VERSION = "1"  # of the server that serves the document, which says nothing of its types


def generate(destination: Path) -> None:
    """Write the types to a file."""
    if not GENERATOR.exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True)
    document = openapi(bindings_of(SERVICES), contract_comments(), CONTRACT_VERSION)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as description:
        json.dump(document, description)
        description.flush()
        command = ["node", GENERATOR, description.name, "--output", destination]
        subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if shutil.which("npm"):
        generate(Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED)
    else:
        sys.stderr.write("no npm: the types of the TypeScript client stay as they are\n")
