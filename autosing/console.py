"""The output of a command: notes and progress on stderr, one summary table (or the same as JSON) on stdout."""

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
_quiet = False


def be_quiet() -> None:
    """From now on no notes and no progress; the summary and errors stay."""
    global _quiet
    _quiet = True


def has_bar() -> bool:
    """Whether progress is shown as a bar: on a terminal."""
    return sys.stderr.isatty() and not _quiet


def command(*words: object) -> str:
    """The command `autosing WORDS` as it is typed in a shell, with paths quoted if necessary."""
    return " ".join(["autosing", *(shlex.quote(str(word)) for word in words)])


def note(text: str) -> None:
    """One plain line on stderr."""
    if _quiet:
        return
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def duration(seconds: float) -> str:
    """For example: 40 s, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


_ANY_WIDTH = 1_000_000


def summary(title: str, rows: Sequence[Mapping[str, Any]], as_json: bool = False, **facts: Any) -> None:
    """The one table that ends a command; a single row that is too wide for the terminal becomes a line for each column.
    With `as_json`: {"title", "rows", ...facts} on stdout and nothing else."""
    if as_json:
        sys.stdout.write(
            json.dumps({"title": title, "rows": list(rows), **facts}, ensure_ascii=False, default=str) + "\n"
        )
        return
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left")
    for column in columns:
        numeric = all(isinstance(row.get(column, 0), int | float) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_show(row.get(column, "")) for column in columns))
    out = Console(highlight=False)
    lines = list(facts.items())
    if len(rows) == 1 and out.measure(table, options=out.options.update(max_width=_ANY_WIDTH)).maximum > out.width:
        out.print(title)
        lines = [*rows[0].items(), *lines]
    else:
        out.print(table)
    for key, value in lines:
        out.print(f"{key.replace('_', ' ')}: {_show(value)}", soft_wrap=True)


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar on a terminal and a plain line about every ten seconds elsewhere."""
    if has_bar():
        from rich.console import Console
        from rich.progress import track

        yield from track(items, description=label, total=total, console=Console(stderr=True))
        return
    started = said = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= 10:
            said = now
            note(f"{label}: {count}{f'/{total}' if total else ''} in {now - started:.0f} s")


def counting(label: str, unit: str = "steps") -> Callable[[int, int], None]:
    """A callback (done, total) that says a line about every ten seconds."""
    said = started = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= 10:
            said = time.monotonic()
            note(f"{label}: {done}/{total} {unit} in {said - started:.0f} s")

    return tell


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
