"""A folder -> songs, corpus, dataset, two models in training, new songs and a page: the main job as a list of commands.

Each step is one `autosing ...` command in its own process, so the demo shows what a person would type (see steps.py).
"""

import json
from pathlib import Path

from autosing.errors import InputError
from autosing.steps import LEDGER, Step

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SONGS = ("-n", "8", "--seed", "7", "--partitions", "2", "--lines", "2", "--voices", "mixed")
"""Natural singers too, where their weights can be had; else `autosing songs` says so and has the others sing."""
WEIGHTS = ("spleeter-2stems", "whisper-base", "whisper-tiny.en", "ge2e")
REMARK = (
    "New words, sung code by code: t2s draws what is sung from the words, their times and the band, sm2a how it sounds "
    "in the voice of the song. The melody is theirs. Both come with autosing."
)
LYRICS = "the lantern on the water\\nremembers every sailor"
"""Sung unless the newcomer gives others; in no training set."""
ANOTHER = "Jonas Brook"
"""Who sings the new song again: a singer of the model that comes with autosing."""


def plan(out: Path, configs: Path = CONFIGS, lyrics: str = LYRICS) -> list[Step]:
    """The main job, in order. `lyrics`: of the new song."""
    if not configs.is_dir():
        raise InputError(f"demo: no configs at {configs}; run it from a clone of the repository (pip install -e .)")
    corpus, dataset, runs = out / "corpus", out / "dataset", out / "runs"
    t2s, sm2a, sung = runs / "t2s", runs / "sm2a", out / "sung.wav"
    song, converted, spoken = out / "song.wav", out / "converted.wav", out / "spoken.wav"

    def config(room: str, name: str = "demo") -> tuple[str, str]:
        return ("--config", str(configs / room / f"{name}.yaml"))

    def train(task: str) -> Step:
        return Step(
            f"train-{task}",
            f"Train {task} for a minute",
            (
                "train",
                task,
                "--data",
                str(dataset),
                "--run",
                str(runs / task),
                "--resume",
                *config("train", f"demo_{task}"),
            ),
            reads=("dataset/index.json",),
            writes=(f"runs/{task}/model.safetensors", f"runs/{task}/metrics.jsonl"),
            starts_anew=f"runs/{task}",
        )

    return [
        Step("models", "Fetch pretrained weights, once a machine", ("models", "fetch", *WEIGHTS)),
        Step(
            "songs",
            "Make songs of known truth",
            ("songs", str(out / "songs"), *SONGS),
            writes=("songs/*/index.parquet",),
        ),
        Step(
            "import",
            "Import them: balanced partitions",
            ("import", str(out / "songs"), str(corpus)),
            reads=("songs/*/index.parquet",),
            writes=("corpus/*/index.parquet",),
        ),
        Step(
            "process",
            "Separate, align, cut into clips, track pitch, hear singers, tokenise (Ray, two workers)",
            ("process", str(corpus), *config("processing")),
            reads=("corpus/*/index.parquet",),
            writes=("corpus/*/acoustic.parquet", "corpus/*/semantic.parquet", "corpus/*/singer.parquet"),
        ),
        Step(
            "build",
            "Join, split by singer and song, write shards",
            ("build", str(corpus), str(dataset), *config("dataset_builder")),
            reads=("corpus/*/*.parquet",),
            writes=("dataset/index.json", "dataset/*/*.tar"),
        ),
        train("t2s"),
        train("sm2a"),
        Step(
            "render",
            "Sing new words to a new tune, with the model that comes with autosing",
            ("render", "--lyrics", lyrics, "--band", "--out", str(song), "--force"),
            writes=("song.wav", "song.vocals.wav", "song.lrc", "song.mid", "song.pitch.csv"),
        ),
        Step(
            "sing",
            "Sing the same words over that song's band, code by code, with the models that come with autosing",
            (
                *("sing", "--reference", str(song), "--lyrics", str(song.with_suffix(".lrc")), "--out", str(sung)),
                *("--codes-out", "--force", "--remark", REMARK),
            ),
            reads=("song.wav", "song.lrc"),
            writes=("sung.wav", "sung.vocals.wav", "sung.lrc", "sung.json", "sung.npz"),
        ),
        Step(
            "convert",
            "Sing the new song's voice again in another, with the model that comes with autosing",
            (
                *("convert", "--source", str(out / "song.vocals.wav"), "--singer", ANOTHER, "--key", "auto"),
                *("--out", str(converted), "--force"),
            ),
            reads=("song.vocals.wav",),
            writes=("converted.wav",),
        ),
        Step(
            "speak",
            "Sing what somebody speaks, on a tune of its own, with the model that comes with autosing",
            ("speech-to-singing", "--out", str(spoken), "--force"),
            reads=("songs/*/index.parquet", "song.vocals.wav"),
            writes=("spoken.wav",),
            late_args=lambda: speech_to_sing(out / "songs") or ("--speech", str(out / "song.vocals.wav")),
        ),
        Step(
            "report",
            "Write the page",
            (
                *("report", str(out / "report.html"), "--corpus", str(corpus), "--dataset", str(dataset)),
                *("--run", str(t2s), "--run", str(sm2a), "--sung", str(sung), "--steps", str(out / LEDGER)),
                *("--sound", str(song), "--sound", str(converted), "--sound", str(spoken)),
            ),
            reads=(
                "corpus/*/*.parquet",
                "dataset/index.json",
                "runs/*/metrics.jsonl",
                "sung.json",
                "song.wav",
                "converted.wav",
                "spoken.wav",
            ),
            writes=("report.html",),
        ),
    ]


def speech_to_sing(songs: Path) -> tuple[str, ...]:
    """Options that name the spoken lines of the first English song of a natural singer; none where there is none."""
    for home in sorted((songs / "truth").iterdir()):
        truth = json.loads((home / "truth.json").read_text("utf-8"))
        if truth.get("voice") == "natural" and truth["language"] == "en" and (home / "speech.flac").is_file():
            lines = "\\n".join(line["text"] for line in truth["lines"])
            return ("--speech", str(home / "speech.flac"), "--lyrics", lines, "--language", "en")
    return ()
