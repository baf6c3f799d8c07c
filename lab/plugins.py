"""Files of one's own: the worlds, rules, rewards, figures and log readers that they declare are known by name.

A file is run by whoever names it (`lab.plugins.load`, `advlab ... --plugins FILE`) and by the processes that they
start, never because a run, a link or a log names it.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from lab.errors import InputError

__all__ = ["ENVIRONMENT", "inherit", "load", "loaded", "require"]

#: Environment variable that hands the files on to other processes.
ENVIRONMENT = "ADVLAB_PLUGINS"
_LOADED: list[str] = []


def load(*paths: str | Path) -> None:
    """Run files of one's own, each once; what they declare is known from then on.

    Raises:
        InputError: No such file, or it fails; the message says in which line.
    """
    for path in (str(Path(path).expanduser().resolve()) for path in paths):
        if path not in _LOADED:
            _run(path)
            _LOADED.append(path)
            os.environ[ENVIRONMENT] = os.pathsep.join(_LOADED)


def inherit() -> None:
    """Load the files that the process which started this one has loaded."""
    load(*filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)))


def loaded() -> list[str]:
    """The files that were loaded, as absolute paths."""
    return list(_LOADED)


def require(paths: list[str]) -> None:
    """Refuse to go on without the files that a run was made with.

    Raises:
        InputError: One of them is not loaded.
    """
    inherit()
    if missing := [path for path in paths if path not in _LOADED]:
        flags = " ".join(f"--plugins {path}" for path in missing)
        raise InputError(f"this run was made with {', '.join(missing)}; give it again, on the shell by {flags}, in "
                         f"Python by lab.plugins.load({', '.join(map(repr, missing))})")  # fmt: skip


def _run(path: str) -> None:
    if not Path(path).is_file():
        raise InputError(f"plugin {path} is not there, or is no file")
    spec = spec_from_file_location(f"advlab_plugin_{len(_LOADED)}_{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"plugin {path}; it must be a file of Python, my_file.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
        raise InputError(f"plugin {path}, line {where}: {type(error).__name__}: {error}") from error
