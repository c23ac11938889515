"""A seed -> a few seconds of a song in memory, for unit tests: quick, and as true as the long ones."""

from autosing.audio.io import Audio
from autosing.songs.lyrics import check_language
from autosing.songs.singers import SINGERS, Singer
from autosing.songs.song import Form, make_song
from autosing.songs.truth import SongTruth, Stems

_SECONDS_A_LINE = 5


def tiny_song(
    seed: int = 0, seconds: float = 6.0, language: str = "en", singer: Singer | None = None
) -> tuple[Audio, SongTruth, Stems]:
    """(mix, truth, stems) of `seconds`, to the sample: a bar of band, then a line about every five seconds.

    Where none is given, the seed draws the singer. Nothing is spoken. Raises InputError without the extra `songs`.
    """
    num_lines = max(1, int((seconds - 1) // _SECONDS_A_LINE))
    form = Form((("verse", num_lines),), lead_bars=1, outro_bars=0, tail_s=0.25, duration_s=seconds)
    chosen = singer or SINGERS[seed % len(SINGERS)]
    song = make_song(seed, 0, chosen, check_language(language), form, speech=False)
    return song.stems.mix, song.truth, song.stems
