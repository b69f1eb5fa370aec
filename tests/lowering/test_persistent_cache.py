"""The persistent compilation cache: on at the first compilation, a user's own setting untouched, off when asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import jax
before = jax.config.jax_compilation_cache_dir
{user}
import netdsl
assert jax.config.jax_compilation_cache_dir == {imported}, "importing netdsl changed JAX's configuration"
netdsl.ElementwiseLayer(netdsl.Ramp)([-1.0, 2.0])
print(jax.config.jax_compilation_cache_dir)
"""


def run(cache: str, user: str = "", imported: str = "before") -> str:
    environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    environment["NETDSL_CACHE_DIR"] = cache
    script = SCRIPT.format(user=user, imported=imported)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr, done.stderr
    return done.stdout.strip()


def test_on_at_the_first_compilation(tmp_path: Path) -> None:
    folder = run(str(tmp_path))
    assert folder.startswith(str(tmp_path))
    assert Path(folder).is_dir()


def test_off(tmp_path: Path) -> None:
    assert run("off") == "None"


def test_a_setting_of_the_user_stays(tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    assert run(str(tmp_path / "ours"), f"jax.config.update('jax_compilation_cache_dir', {own!r})", repr(own)) == own
    assert not (tmp_path / "ours").exists()


def test_an_unwritable_folder_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run(str(blocked)) == "None"
