"""The report of a training log as one file of HTML that needs no network."""

from __future__ import annotations

from html import escape
from pathlib import Path

import polars as pl

from lab import figures
from lab.errors import UnwrittenError
from lab.logs.diagnosis import Diagnosis
from lab.logs.findings.contract import Finding
from lab.reports.facts import about, counted, where
from lab.text import printable

__all__ = ["report"]

ROWS = 20  # of a finding's table that are shown
_STYLE = """
:root { color-scheme: light; --ink: #1c2230; --quiet: #586174; --line: #dfe3ea; --alarm: #b3261e; --warning: #8a5300;
  --note: #2f5bb7; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); margin: 2rem auto; max-width: 62rem;
  padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; font-weight: 600; margin: 0 0 .4rem; }
section { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem; margin: 1.2rem 0; }
.severity { font-weight: 700; text-transform: capitalize; }
.alarm { color: var(--alarm); } .warning { color: var(--warning); } .note { color: var(--note); }
p { margin: .3rem 0; } .quiet, dt, summary, th { color: var(--quiet); } dl { margin: .5rem 0; }
dd { margin: 0 0 .3rem; }
table { border-collapse: collapse; font-size: .9rem; } th, td { text-align: left; padding: .15rem .8rem .15rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } .wide { overflow-x: auto; }
"""


def report(run: Diagnosis, path: str | Path | None = None) -> str:
    """The report of a diagnosis as HTML, self-contained: pictures that answer to the mouse, no request to anywhere.

    Args:
        run: What `lab.diagnose` found.
        path: Where it is written as well.

    Raises:
        UnwrittenError: It cannot be written there.
    """
    name = printable(run.table.source or "a training log")
    drawn = False
    parts = []
    for finding in run.findings:
        parts.append(_section(finding, with_library=not drawn))
        drawn |= finding.evidence is not None
    notes = "".join(f"<li>{escape(note)}</li>" for note in run.table.notes)
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)}: what the log says</title><style>{_STYLE}</style></head><body>
<h1>What the log says</h1>
<p>{escape(name)}</p><p class="quiet">{escape(about(run))}. {escape(counted(run.findings))}.</p>
{"".join(parts)}
<details><summary>What was read, and what was inferred</summary><ul>{notes}</ul></details>
</body></html>
"""
    if path is not None:
        _write(Path(path), text)
    return text


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as reason:
        raise UnwrittenError(f"the report cannot be written to {path}: {reason.strerror or reason}") from None


def _section(finding: Finding, *, with_library: bool) -> str:
    known = finding.check
    facts = {"What to try": known.advice, "Definition": known.definition, "Threshold": known.threshold,
             "Source": known.source} if known else {}  # fmt: skip
    told = "".join(f"<dt>{name}</dt><dd>{escape(words)}</dd>" for name, words in facts.items() if words)
    place = f'<p class="quiet">{escape(where(finding))}</p>' if where(finding) else ""
    return f"""<section><h2><span class="severity {finding.severity}">{finding.severity}</span>
{escape(printable(finding.sentence))}</h2>
{place}{_picture(finding, with_library)}<dl>{told}</dl>{_rows(finding.rows)}</section>
"""


def _picture(finding: Finding, with_library: bool) -> str:
    if finding.evidence is None:
        return ""
    shown = getattr(figures, finding.evidence.figure)
    drawn = shown(finding.evidence.frame, **finding.evidence.options)
    config = {"displaylogo": False, "responsive": True}
    html: str = drawn.to_html(full_html=False, include_plotlyjs=with_library, config=config, default_height="26rem")
    return f'{html}<p class="quiet">{escape(shown.guide)}</p>'


def _rows(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return ""
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in rows.columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_cell(value))}</td>' for value in row)}</tr>"
        for row in rows.head(ROWS).iter_rows()
    )
    more = f", the first {ROWS} of {rows.height}" if rows.height > ROWS else ""
    return (f'<details><summary>Rows{more}</summary><div class="wide"><table><thead><tr>{head}</tr></thead><tbody>'
            f"{body}</tbody></table></div></details>")  # fmt: skip


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else printable(value)
    return text if len(text) <= 200 else text[:200] + " …"
