"""The name of a codec, or the folder of a run -> the codec, and the digest that its codes are bound to.

| name | codec | weights |
|---|---|---|
| autosing-24khz | ours, small, in this package: the six coarsest levels | autosing/weights/codec |
| autosing-24khz-rich | the same networks with all eight levels | autosing/weights/codec |
| a folder | ours, of `autosing train codec` | model.safetensors in it |
| snac-24khz, snac-32khz, snac-44khz | SNAC through its package | $AUTOSING_HOME/codecs/<name> |
| encodec-24khz | EnCodec at 6 kbit/s through its package | $AUTOSING_HOME/codecs/<name> |
"""

from __future__ import annotations

import importlib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from autosing.codecs.spec import CodecSpec
from autosing.errors import InputError

if TYPE_CHECKING:
    from autosing.codecs.base import Codec

__all__ = ["BUNDLED", "CodecSpec", "codec_digest", "load_codec"]

BUNDLED = "autosing-24khz"
_LEVELS = {BUNDLED: 6, "autosing-24khz-rich": 8}
"""Names of the bundled codec, and the number of its levels that each uses."""
_BUNDLED_FOLDER = Path(__file__).parent.parent / "weights" / "codec"
_OTHERS = {
    "snac-24khz": "autosing.codecs.snac:SnacCodec",
    "snac-32khz": "autosing.codecs.snac:SnacCodec",
    "snac-44khz": "autosing.codecs.snac:SnacCodec",
    "encodec-24khz": "autosing.codecs.encodec:EncodecCodec",
}


def load_codec(name: str, device: str = "cpu") -> Codec:
    """The codec, ready to encode. Raises InputError: unknown name, package missing, or weights missing."""
    codec: Codec
    if name in _OTHERS:
        module, _, attribute = _OTHERS[name].partition(":")
        codec = getattr(importlib.import_module(module), attribute).load(name, other_folder(name))
    else:
        from autosing.codecs.fitted import FittedCodec

        codec = FittedCodec.load(_own_folder(name))
        if name in _LEVELS:
            codec = codec.coarse(_LEVELS[name], name)
    return codec.to(device).eval()


def codec_digest(name: str) -> str:
    """sha256 of the codec's weights, and of the number of levels if only some are used: codes of two codecs may be
    mixed if and only if it is equal. Raises InputError if the weights are missing."""
    from autosing.pretrained.cache import file_digest

    if name not in _OTHERS:
        path = _own_folder(name) / "model.safetensors"
        if not path.is_file():
            raise InputError(f"codec {name}: no model.safetensors in it; give a run of 'autosing train codec'")
        digest = file_digest(path)
        return sha256(f"{digest} {_LEVELS[name]}".encode()).hexdigest() if name in _LEVELS else digest
    module = importlib.import_module(_OTHERS[name].partition(":")[0])
    return file_digest(module.weights_file(name, other_folder(name)))


def other_folder(name: str) -> Path:
    """The folder in which the weights of another project's codec are expected."""
    from autosing.pretrained.cache import home

    return home() / "codecs" / name


def _own_folder(name: str) -> Path:
    if name in _LEVELS:
        return _BUNDLED_FOLDER
    if Path(name).is_dir():
        return Path(name)
    raise InputError(f"codec {name!r}: unknown; need {', '.join([*_LEVELS, *_OTHERS])} or the folder of a run")
