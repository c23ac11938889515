"""`autosing sing`, `autosing merge`, `autosing export` and `autosing report`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from autosing.models.bundled import SM2A, T2S
from autosing.storage.store import place
from inference.voice.options import Watermark

Option = typer.Option


def sing(
    out: Annotated[
        Path,
        Option(help="The mix (.wav, .flac, .ogg or .mp3); out.vocals.wav, out.lrc and out.json go beside it."),
    ],
    t2s: Annotated[
        Path, Option(help="Run of 'autosing train t2s', lyrics to semantic codes; or the one that comes with autosing.")
    ] = Path(T2S),
    sm2a: Annotated[
        Path, Option(help="Run of 'autosing train sm2a', codes to sound; or the one that comes with autosing.")
    ] = Path(SM2A),
    reference: Annotated[
        str | None, Option(help="Song that gives music and singer: a file, or CORPUS#ID (CORPUS: a folder or s3://).")
    ] = None,
    lyrics: Annotated[
        str | None,
        Option(
            help="Words, @FILE, a .lrc (times in it are the reference's) or .txt file, or a folder of them: then each "
            "is sung into the folder --out."
        ),
    ] = None,
    singer: Annotated[
        str | None,
        Option(
            help="Another singer: audio, an enrolled voice's name, or that of a singer of the sm2a run (default: the "
            "reference's; without one, and with --separator none, the run's first)."
        ),
    ] = None,
    singer_mix: Annotated[float | None, Option(help="0: the reference's singer, 1: the other (default 1).")] = None,
    semantic_from: Annotated[
        Path | None, Option(help="Vocals whose semantic codes are used instead of lyrics.")
    ] = None,
    start: Annotated[float | None, Option(help="Where in the reference to start, seconds (default 0).")] = None,
    length: Annotated[
        float | None, Option(help="Length of the output, seconds (default: what the lyrics need).")
    ] = None,
    seed: Annotated[int | None, Option(help="Seed of the sampling (default 0).")] = None,
    temperature: Annotated[float | None, Option(help="0 is greedy.")] = None,
    top_k: Annotated[int | None, Option(help="Sample from the k most likely codes only.")] = None,
    top_p: Annotated[float | None, Option(help="Sample from the most likely codes that sum to p.")] = None,
    min_p: Annotated[float | None, Option(help="Sample from codes at least p times as likely as the best.")] = None,
    guidance_text: Annotated[float | None, Option(help="Guidance scale of the words; 1 is off.")] = None,
    guidance_music: Annotated[float | None, Option(help="Guidance scale of the music; 1 is off.")] = None,
    guidance_singer: Annotated[float | None, Option(help="Guidance scale of the singer; 1 is off.")] = None,
    candidates: Annotated[
        int | None, Option(help="How many takes to sing (default: usual of the t2s, the best kept).")
    ] = None,
    keep: Annotated[
        Literal["all", "best"] | None, Option(help="all takes, or each line as it is clearest in any of them.")
    ] = None,
    scale: Annotated[
        Literal["fine", "coarse"] | None, Option(help="fine, or coarse: a block of codes a step (default: as trained).")
    ] = None,
    music: Annotated[bool | None, Option("--music/--no-music", help="With instrumental, or a cappella.")] = None,
    music_gain_db: Annotated[float | None, Option(help="Gain of the instrumental, dB (default 0).")] = None,
    in_key: Annotated[
        float | None, Option(help="How strongly pitches are kept in the key of the instrumental (default 10; 0: not).")
    ] = None,
    separator: Annotated[
        Literal["spleeter", "demucs", "none"] | None, Option(help="spleeter, demucs, or none (an instrumental).")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        Option(help="auto, cpu or cuda (default auto: a GPU where there is one)."),
    ] = None,
    rate: Annotated[int | None, Option(help="Sample rate of the files, Hz (default: the codec's).")] = None,
    codec: Annotated[str | None, Option(help="Name or run of the codec (default: the sm2a run's).")] = None,
    codebook: Annotated[str | None, Option(help="Run of the semantic codebook (default: the bundled).")] = None,
    format: Annotated[
        Literal["wav", "flac", "ogg", "mp3"], Option(help="wav, flac, ogg or mp3: of the files of a folder of lyrics.")
    ] = "wav",
    force: Annotated[bool, Option("--force", help="Also replace files that 'autosing sing' did not write.")] = False,
    codes_out: Annotated[bool, Option("--codes-out", help="Also write the codes, as out.npz.")] = False,
    remark: Annotated[str, Option(help="A line for out.json and the report.")] = "",
    watermark: Watermark = None,
    config: Annotated[Path | None, Option(help="YAML of the same options; the command line overrides it.")] = None,
    set: Annotated[list[str] | None, Option(help="key=value of the config, e.g. acoustic.top_k=20.")] = None,
    json: Annotated[bool, Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Sing lyrics over a reference song's instrumental, in its singer's voice or another's.

    Files are exactly round(length * rate) samples long. A second run with the same options writes the same bytes.
    Inputs are never replaced; files that 'autosing sing' did not write are replaced only with --force.
    """
    options: dict[str, Any] = {
        "start_s": start, "length_s": length, "seed": seed, "candidates": candidates, "keep": keep, "scale": scale,
        "singer_mix": singer_mix, "music": music, "music_gain_db": music_gain_db, "in_key": in_key,
        "separator": separator,
        "sample_rate_hz": rate, "device": device, "watermark": watermark, "temperature": temperature,
        "top_k": top_k, "top_p": top_p, "min_p": min_p, "guidance_text": guidance_text,
        "guidance_music": guidance_music, "guidance_singer": guidance_singer,
    }  # fmt: skip

    from autosing.console import command, summary
    from inference.job import Job, sing_folder, sing_one
    from inference.lyrics_plan import lyrics_folder
    from inference.request import SingRequest, config_of

    settings = config_of(options, config, set or [])
    words = None if semantic_from else t2s
    request = SingRequest(sm2a, words, reference, lyrics, singer, semantic_from, codec, codebook, settings)
    job = Job(request, out, codes_out, remark, force, config)
    folder = lyrics_folder(lyrics) if lyrics else None
    if folder is not None:
        rows = sing_folder(job, folder, format)
        bad = len({row["lyrics"] for row in rows if "error" in row})
        summary("sung", rows, as_json=json, bad=bad)
        if bad:
            raise typer.Exit(2)
        return
    sung, rows = sing_one(job)
    following = command("report", out.with_suffix(".html"), "--sung", rows[0]["file"])
    summary("sung", rows, as_json=json, length_s=sung.resolved.length_s, seconds=sung.seconds, next=following)


def report(
    page: Annotated[Path, typer.Argument(help="The .html file to write.")],
    corpus: Annotated[
        Path | None, Option(parser=place, help="Folder or s3:// address: counts, rejects, clips.")
    ] = None,
    dataset: Annotated[Path | None, Option(parser=place, help="Folder or s3:// address: its splits.")] = None,
    run: Annotated[list[Path] | None, Option(help="A training run, for its losses; may be given again.")] = None,
    sung: Annotated[
        Path | None, Option(help="The out.wav of 'autosing sing', in any format, or one candidate of it.")
    ] = None,
    sound: Annotated[
        list[Path] | None, Option(help="What 'autosing render' or 'convert' wrote; may be given again.")
    ] = None,
    steps: Annotated[Path | None, Option(help="_steps.json of 'autosing demo': steps and their seconds.")] = None,
    json: Annotated[bool, Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Write one self-contained HTML page about these folders: players, spectrograms, counts, losses."""
    from autosing.console import summary
    from inference.report.write import write_page

    shown = write_page(page, corpus, dataset, run or [], sung, steps, sound or [])
    summary("report", [{"page": str(page), **shown}], as_json=json)


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Runs or models, two or more, of one kind and shape.")],
    out: Annotated[Path, Option(help="The folder of the merged model.")],
    weights: Annotated[str | None, Option(help="A number for each run, as in 0.7,0.3 (default: all alike).")] = None,
    json: Annotated[bool, Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Average the weights of runs, such as a run and what was tuned from it. A second run writes the same again."""
    from autosing.console import summary
    from autosing.errors import InputError
    from inference.merge import merge as run

    try:
        numbers = [float(word) for word in weights.split(",")] if weights else []
    except ValueError:
        raise InputError(f"--weights {weights}: need numbers with commas between, as in 0.7,0.3") from None
    summary("merged", [run(runs, out, numbers)], as_json=json)


def export(
    run: Annotated[Path, typer.Argument(help="A run or model; svc_vits, svc_flow or visinger but for safetensors.")],
    out: Annotated[Path, Option(help="The folder that is written.")],
    form: Annotated[
        Literal["safetensors", "onnx", "openutau"],
        Option("--as", help="Inference weights, ONNX graphs, or a singer for OpenUtau (visinger alone)."),
    ] = "safetensors",
    vocoder: Annotated[
        Path | None, Option(help="A run of 'autosing train vocoder', for a model in the space log_mel.")
    ] = None,
    steps: Annotated[int | None, Option(min=1, help="Steps of the flow (default: the model's).")] = None,
    singer: Annotated[
        list[str] | None, Option(help="openutau: who is in it: a name or a wav, or several (default: the run's).")
    ] = None,
    language: Annotated[
        list[str] | None, Option(help="openutau: whose phones it has, e.g. en, or several (default en).")
    ] = None,
    json: Annotated[bool, Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Write a model for other programs; what a graph takes and gives stands in export.json beside it.

    A second run writes the same again.
    """
    from autosing.console import summary
    from inference.export.run import Wanted
    from inference.export.run import export as write

    rows = write(run, out, form, Wanted(vocoder, steps, singer or (), language or ()))
    summary("exported", rows, as_json=json)


def main() -> None:
    """`python inference/sing.py`: the same as `autosing sing`."""
    import sys

    from autosing.errors import InputError

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(sing)
    try:
        app()
    except InputError as error:
        sys.stderr.write(f"autosing: {error}\n")
        sys.exit(2)
