"""autosing: from folders of songs to models that sing. What two rooms share lives here.

In Python, `load` gives a run's model and `sing` does what `autosing sing` does. Both import what they need when they
are called, so that `import autosing` is quick. Like the command line, they import other rooms by name.
"""

import importlib
from typing import Any

__version__ = "0.1.0"


def load(run: Any, device: str = "auto") -> Any:
    """The model of a run folder, ready to use: T2S, SM2A, Codec or SemanticTokenizer.

    `device`: auto (a GPU if there is one), cpu or cuda. Raises InputError if the folder holds no such model.
    """
    return _open("autosing.loading:load")(run, device)


def sing(sm2a: Any = "autosing-sm2a", t2s: Any = "autosing-t2s", **options: Any) -> Any:
    """Sing as `autosing sing` does -> inference.result.Sung; with `out`, its files are written as well.

    `sm2a`, `t2s`: runs, names of what comes with autosing, or what `load` gave. Options: reference, lyrics, singer,
    semantic_from, codec, codebook, out, force, and the settings of `autosing sing`: length_s, start_s, seed,
    temperature, min_p, candidates, device ...
    Raises InputError as `autosing sing` does.
    """
    return _open("inference.api:sing")(sm2a, t2s, **options)


def _open(door: str) -> Any:
    module, _, attribute = door.partition(":")
    return getattr(importlib.import_module(module), attribute)
