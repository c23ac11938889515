"""A corpus in AutoSing's layout as a source of songs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas.tables import Song
from autosing.stage import Rejected
from autosing.storage.tables import check_kinds, kind_of, open_table, partitions
from processing.importer.facts import Facts, facts_of
from processing.importer.source import Entry, Source

_TEXT_COLUMNS = ("raw_lyrics", "lyrics", "lrc_lyrics", "artist", "singer", "title", "language", "licence", "license")


class CorpusSource(Source):
    """<k>/index.parquet with columns id and audio; other known columns are used, the rest is ignored."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._numbers = partitions(root)
        for k in self._numbers:
            with open_table(self._index(k)) as file:
                schema = file.schema_arrow
            names = schema.names
            missing = [name for name in ("id", "audio") if name not in names]
            if missing:
                raise InputError(
                    f"{self._index(k)}: columns {', '.join(missing)} missing; it holds {', '.join(names)}; "
                    f"need id and audio (encoded bytes)"
                )
            check_kinds(self._index(k), schema, {"audio": "bytes"})
            for name in (name for name in _TEXT_COLUMNS if name in names):
                if kind_of(schema.field(name).type) not in ("text", "null"):
                    found = f"column {name} holds {schema.field(name).type}, need text"
                    self.remark(f"{k}/index.parquet", "column_left_out", found)

    def entries(self) -> list[Entry]:
        found = []
        for k in self._numbers:
            with open_table(self._index(k)) as file:
                ids = file.read(columns=["id"])["id"].to_pylist()
            for number, held in enumerate(ids):
                wanted = clean_id(str(held)) if held is not None else f"row_{k}_{number}"
                found.append(Entry(f"{k}/{number}", wanted, k))
        return found

    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        wanted = {entry.name: entry for entry in entries}
        for k in sorted({entry.partition for entry in entries if entry.partition is not None}):
            for number, row in enumerate(self._rows(k)):
                entry = wanted.get(f"{k}/{number}")
                if entry is not None:
                    data, score = row.pop("audio"), row.pop("score", None)
                    if not isinstance(data, bytes) or not data:
                        yield entry, Rejected(entry.wanted_id, "no_audio", "the audio column is null or empty")
                    else:
                        facts = facts_of({key: value for key, value in row.items() if key != "id"})
                        facts = facts.over(Facts(score=score if isinstance(score, str) else None))
                        yield entry, Song(entry.wanted_id, data, **vars(facts))

    def _rows(self, k: int) -> Iterator[dict[str, Any]]:
        with open_table(self._index(k)) as file:
            known = [n for n in ("id", "audio", "score", *_TEXT_COLUMNS) if n in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=4, columns=known):
                yield from batch.to_pylist()

    def _index(self, k: int) -> Path:
        return self.root / str(k) / "index.parquet"
