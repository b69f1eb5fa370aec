"""Scripts run in processes of their own, whose last line of output is their result as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["answer", "child"]


def child(script: str, *arguments: object, **environment: str) -> Any:
    """The result of ``python script arguments…`` with these variables added to the environment."""
    command = [sys.executable, str(Path(script).resolve()), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def answer(result: Any) -> None:
    """Give the result to the process that waits for it."""
    print(json.dumps(result))
