"""`autosing.sing` for Python: the same as the command `autosing sing`, with run folders or loaded models."""

from pathlib import Path
from typing import Any

from autosing.models import bundled
from autosing.models.sm2a import SM2A
from autosing.models.t2s import T2S
from inference.job import Job, sing_one
from inference.request import SingRequest, config_of
from inference.result import Sung
from inference.singing import sing as sing_it


def sing(
    sm2a: SM2A | Path | str = bundled.SM2A,
    t2s: T2S | Path | str | None = bundled.T2S,
    reference: str | Path | None = None,
    lyrics: str | None = None,
    singer: str | Path | None = None,
    semantic_from: str | Path | None = None,
    codec: str | None = None,
    codebook: str | None = None,
    out: str | Path | None = None,
    force: bool = False,
    **options: Any,
) -> Sung:
    """Sing; with `out`, also write the files of `autosing sing`. Raises InputError as that command does.

    `sm2a`, `t2s`: run folders, names of what comes with autosing, or models of `autosing.load`. `options`: see
    inference.request.config_of.
    """
    request = SingRequest(
        sm2a=Path(sm2a) if isinstance(sm2a, str) else sm2a,
        t2s=None if semantic_from is not None else Path(t2s) if isinstance(t2s, str) else t2s,
        reference=None if reference is None else str(reference),
        lyrics=lyrics,
        singer=singer,
        semantic_from=None if semantic_from is None else Path(semantic_from),
        codec=codec,
        codebook=codebook,
        config=config_of(options),
    )
    return sing_it(request) if out is None else sing_one(Job(request, Path(out), force=force))[0]
