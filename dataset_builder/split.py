"""Clips -> train, valid, test, such that no song and no singer is in two of them.

Songs that share a singer, and singers that share a song, form a component. The largest component always goes to train,
so train is never empty. The others are ranked by a hash of their name and the seed. First valid, then test, take from
that list the components that bring them closest to their share of the seconds. Each takes at least one (the smallest)
if train keeps half of the seconds without it. All others go to train. With one singer there is only train; with three
singers of equal seconds there is no test.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from autosing.ids import seed_of


@dataclass(frozen=True)
class Part:
    """What the splits need to know of a clip."""

    song: str
    singer: str | None
    duration_s: float


def assign_songs(parts: Iterable[Part], shares: dict[str, float], seed: int) -> dict[str, str]:
    """song -> split. `shares`: split -> share of the seconds, in the order in which they choose; the rest is train."""
    members, seconds = _components(parts)
    split_of = dict.fromkeys(members, "train")
    ranked = sorted(members, key=lambda name: (seed_of("split", seed, name), name))
    rest = sorted(ranked, key=lambda name: seconds[name], reverse=True)[1:]
    rest = [name for name in ranked if name in set(rest)]
    total = sum(seconds.values())
    for split, share in shares.items():
        taken = 0.0
        for name in list(rest):
            if share > 0 and taken + seconds[name] / 2 <= share * total:
                taken += seconds[name]
                split_of[name] = split
                rest.remove(name)
        if share > 0 and not taken and rest:
            smallest = min(rest, key=lambda name: seconds[name])
            train = sum(seconds[name] for name, owner in split_of.items() if owner == "train")
            if 2 * (train - seconds[smallest]) >= total:
                split_of[smallest] = split
                rest.remove(smallest)
    return {song: split_of[name] for name, songs in members.items() for song in songs}


def _components(parts: Iterable[Part]) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Component -> its songs, and its seconds. A component has the name of its first node in the alphabet."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    per_song: dict[str, float] = {}
    for part in parts:
        per_song[part.song] = per_song.get(part.song, 0.0) + part.duration_s
        first = root(f"song {part.song}")
        if part.singer is not None:
            second = root(f"singer {part.singer}")
            parent[max(first, second)] = min(first, second)
    members: dict[str, set[str]] = {}
    seconds: dict[str, float] = {}
    for song in sorted(per_song):
        name = root(f"song {song}")
        members.setdefault(name, set()).add(song)
        seconds[name] = seconds.get(name, 0.0) + per_song[song]
    return members, seconds
