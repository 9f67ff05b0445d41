"""
Published and measured facts that the onion core must reproduce.

C{tests/data/vectors/README.md} says what each file pins down and where it comes from. Byte strings are hex there,
times are Unix seconds.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent / "data" / "vectors"


@cache
def load(name: str) -> Any:
    """Return the contents of C{NAME.json}; most have a list under C{vectors}."""
    return json.loads((DIRECTORY / f"{name}.json").read_text())
