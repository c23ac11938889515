"""autosing songs: arguments -> a corpus of made songs and one summary."""

from pathlib import Path
from typing import Annotated

import typer


def songs(
    out: Annotated[Path, typer.Argument(help="Folder for the corpus: OUT/<k>/index.parquet and OUT/truth/<id>/.")],
    count: Annotated[int, typer.Option("-n", "--count", help="Songs to make.")] = 24,
    seed: Annotated[int, typer.Option(help="Another seed, other songs.")] = 7,
    languages: Annotated[str, typer.Option(help="en, ko, zh: gone through in turn.")] = "en,en,ko,en,en,zh",
    singers: Annotated[int, typer.Option(help="1 to 8; of natural voices alone 1 to 48.")] = 8,
    voices: Annotated[
        str, typer.Option(help="synthetic, natural (fetches 65 MB once; English) or mixed.")
    ] = "synthetic",
    audio_format: Annotated[str, typer.Option("--format", help="flac, wav, ogg, mp3 or opus: the mix.")] = "flac",
    partitions: Annotated[int, typer.Option(help="Partitions of the corpus.")] = 3,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    lines: Annotated[int, typer.Option(help="Lines of the verse, and of the chorus.")] = 4,
    trouble: Annotated[
        str,
        typer.Option(
            help="What each song has that its lyrics do not, or they and not it: some of breaks, adlibs, "
            "refrains, missing, longer, verse, wrong, with commas between."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Make songs of known truth: lyrics, singers, score, stems, mix, times and f0.

    Run again, finished partitions are kept if they were made with the same arguments, and made anew if not.
    """
    from autosing import console
    from autosing.songs.corpus import make_songs
    from autosing.songs.settings import voices_of

    made = make_songs(
        out,
        count,
        seed,
        languages=[language.strip() for language in languages.split(",")],
        singers=singers,
        audio_format=audio_format,
        partitions=partitions,
        workers=workers,
        lines=lines,
        voices=voices_of(voices),
        trouble=[name.strip() for name in trouble.split(",") if name.strip()],
    )
    console.summary(
        f"songs in {out}",
        [vars(partition) for partition in made.partitions],
        as_json,
        songs=made.songs,
        kept=sum(p.songs for p in made.partitions if p.kept),
        wall_s=round(made.wall_s, 1),
        next=console.command("process", out),
    )
