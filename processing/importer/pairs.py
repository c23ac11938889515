"""Names of recordings -> which are the same words spoken: pairs of speech and singing, as published corpora name them.

| corpus | singing | its speech |
|---|---|---|
| GTSinger | `.../<song>/Control_Group/0000.wav` (and its other groups) | `.../<song>/Paired_Speech_Group/0000.wav` |
| NHSS | `<singer>/<song>/song.wav`, or in folders `song` and `speech` | `<singer>/<song>/speech.wav` |
| PopBuTFy, AlignSTS | `<singer>#singing#<song>/0000.mp3`, `<singer>#<song>#sing#0000.wav` | the same with `#speech#` |

One part of the name says which it is; all others are alike.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_SPEECH = frozenset({"speech", "spoken", "speak", "speaking", "read", "reading", "paired_speech_group"})
_SINGING = frozenset({"sing", "singing", "song", "sung", "vocal", "vocals", "control_group"})
_GROUP = re.compile(r"\w+_group")
"""GTSinger names a folder of each technique so."""
_EITHER = "*"


def spoken_partners(names: Iterable[str]) -> dict[str, str]:
    """Sung recording -> its speech, both as they are named. Speech of several recordings is given to each; where two
    could be the speech of one, neither is."""
    spoken: dict[tuple[str, ...], str | None] = {}
    sung: dict[str, list[tuple[str, ...]]] = {}
    for name in names:
        parts = _parts(name)
        for place, part in enumerate(parts):
            key = (*parts[:place], _EITHER, *parts[place + 1 :])
            word = part.lower()
            if word in _SPEECH:
                spoken[key] = None if key in spoken else name
            elif word in _SINGING or _GROUP.fullmatch(word):
                sung.setdefault(name, []).append(key)
    found = {}
    for name, keys in sung.items():
        partners = {partner for key in keys if (partner := spoken.get(key)) is not None}
        if len(partners) == 1:
            (found[name],) = partners
    return found


def singer_of_pair(name: str) -> str | None:
    """Who sings, where the name says it: before the first # of PopBuTFy's and AlignSTS's names."""
    for part in PurePosixPath(name).parts:
        singer, mark, rest = part.partition("#")
        if mark and singer and {field.lower() for field in rest.split("#")} & (_SPEECH | _SINGING):
            return singer
    return None


def _parts(name: str) -> tuple[str, ...]:
    """Folders, and the fields between # of each, without the ending."""
    path = PurePosixPath(name)
    return tuple(field for part in (*path.parts[:-1], path.stem) for field in ("/", *part.split("#")))
