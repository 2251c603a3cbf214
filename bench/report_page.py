"""One HTML page of the rows: a plot and a table for each part. No script, nothing from elsewhere."""

import math
import statistics
from html import escape

WIDTH, LABELS, VALUES, ROW, TOP = 960, 380, 110, 24, 26
LEAST_SPAN = 2.0  # the axis shows at least from half to twice

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --ground: #ffffff;
  --ahead: #0a7f6f; --behind: #b4540a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --ground: #0d1117;
  --ahead: #3fbfa8; --behind: #e8934a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
.soft, caption { color: var(--soft); } .ahead { color: var(--ahead); } .behind { color: var(--behind); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
svg { width: 100%; min-width: 40rem; height: auto; font-size: 12px; }
svg text { fill: var(--ink); } svg .soft { fill: var(--soft); }
svg .ahead { fill: var(--ahead); } svg .behind { fill: var(--behind); }
svg .one { stroke: var(--ink); stroke-width: 1.5; } svg .grid { stroke: var(--line); } svg .spread { stroke: var(--ink); }
summary { cursor: pointer; color: var(--soft); }
"""


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def verdict(row):
    """ahead, behind or even: within 5 % nobody is ahead."""
    if row.ratio is None:
        return ""
    return "even" if 1 / 1.05 < row.ratio < 1.05 else "ahead" if row.ratio > 1 else "behind"


class Axis:
    """Ratios on a logarithmic scale, with 1 in it."""

    def __init__(self, rows):
        ratios = [ratio for row in rows for ratio in row.ratios]
        self.low = min([1 / LEAST_SPAN, *ratios]) / 1.1
        self.high = max([LEAST_SPAN, *ratios]) * 1.1

    def x(self, ratio):
        part = math.log(ratio / self.low) / math.log(self.high / self.low)
        return LABELS + part * (WIDTH - LABELS - VALUES)

    def ticks(self):
        steps = (1, 2, 5) if self.high / self.low < 200 else (1,)
        marks = [step * 10.0 ** power for power in range(-6, 7) for step in steps]
        return [mark for mark in marks if self.low <= mark <= self.high]


def bar(axis, row, y):
    one, end = axis.x(1), axis.x(row.ratio)
    state = "behind" if row.ratio < 1 else "ahead"
    parts = [f'<rect class="{state}" x="{min(one, end):.1f}" y="{y + 5}" width="{max(1.0, abs(end - one)):.1f}" height="14" rx="2"/>']
    if len(row.ratios) > 1:
        left, right, middle = axis.x(min(row.ratios)), axis.x(max(row.ratios)), y + 12
        parts.append(f'<path class="spread" fill="none" d="M{left:.1f} {middle}H{right:.1f}M{left:.1f} {middle - 4}v8M{right:.1f} {middle - 4}v8"/>')
    label = escape(row.what if len(row.what) < 58 else row.what[:56] + "…")
    parts.append(f'<text x="{LABELS - 10}" y="{y + 16}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{WIDTH - VALUES + 12}" y="{y + 16}">{number(row.ratio)}×</text>')
    return f"<g><title>{escape(row.what)}: {number(row.ratio)} times better, {len(row.ratios)} rounds</title>{''.join(parts)}</g>"


def plot(rows):
    """Bars from 1 to the median ratio: to the right kvern is better, to the left llama-server."""
    rows = [row for row in rows if row.ratios]
    if not rows:
        return ""
    axis, height = Axis(rows), TOP + ROW * len(rows) + 8
    grid = [f'<line class="{"one" if mark == 1 else "grid"}" x1="{axis.x(mark):.1f}" x2="{axis.x(mark):.1f}" y1="{TOP - 4}" y2="{height - 4}"/>'
            f'<text class="soft" x="{axis.x(mark):.1f}" y="{TOP - 10}" text-anchor="middle">{mark:g}×</text>' for mark in axis.ticks()]
    bars = [bar(axis, row, TOP + ROW * i) for i, row in enumerate(rows)]
    return (f'<div class="wide"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="how many times better kvern is">'
            f"{''.join(grid)}{''.join(bars)}</svg></div>")


def cell(values):
    return f"{number(statistics.median(values))}" if values else "-"


def spread(row):
    if row.ratio is None:
        return "-"
    between = f" ({number(min(row.ratios))} to {number(max(row.ratios))})" if len(row.ratios) > 1 else ""
    state = verdict(row)
    return f'<span class="{state}">{number(row.ratio)}×{between} {state}</span>'


def rows_table(rows):
    lines = [f"<tr><td>{escape(row.what)}</td><td>{cell(row.ours)}</td><td>{cell(row.theirs)}</td><td>{escape(row.unit)}</td>"
             f"<td>{spread(row)}</td></tr>" for row in rows]
    return ("<div class='wide'><table><thead><tr><th>what</th><th>kvern</th><th>llama-server</th><th>unit</th>"
            f"<th>times better</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>")


def section(part):
    about = ", ".join(f"{name} {value}" for name, value in part.about.items())
    missing = "".join(f"<li>{escape(what)}: {escape(why)}</li>" for what, why in part.missing)
    return (f"<section><h2>{escape(part.title)}</h2><p class='soft'>{escape(about)} · ./dev bench {part.name}</p>{plot(part.rows)}"
            f"<details><summary>{len(part.rows)} rows in numbers</summary>{rows_table(part.rows)}</details>"
            f"{f'<p>Not measured:</p><ul>{missing}</ul>' if missing else ''}</section>")


def summary(parts):
    """What is behind stands first: it is what a reader has to know."""
    rows = [row for part in parts for row in part.rows if row.ratios]
    behind = sorted((row for row in rows if verdict(row) == "behind"), key=lambda row: row.ratio)
    ahead = sum(verdict(row) == "ahead" for row in rows)
    lines = "".join(f"<li>{escape(row.what)}: <span class='behind'>{number(row.ratio)}×</span></li>" for row in behind)
    return (f"<p>Of {len(rows)} comparisons kvern is <span class='ahead'>ahead in {ahead}</span>, "
            f"<span class='behind'>behind in {len(behind)}</span>, and within 5 % in {len(rows) - ahead - len(behind)}.</p>"
            + (f"<p>Behind:</p><ul>{lines}</ul>" if lines else ""))


def page(parts, absent):
    todo = "".join(f"<li><code>./dev bench {name}</code></li>" for name in absent)
    return (f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
            f"<title>kvern beside llama-server</title><style>{STYLE}</style></head><body><h1>kvern beside llama-server</h1>"
            "<p class='soft'>The same llama.cpp sources, model, threads and context on one machine. A bar is the median over the "
            "rounds of how many times better kvern was in that round, on a logarithmic axis: to the right of 1× kvern is better, to "
            "the left llama-server. The thin line spans the rounds. Times by themselves belong to the machine.</p>"
            f"{summary(parts)}{''.join(map(section, parts))}"
            f"{f'<h2>Not measured yet</h2><ul>{todo}</ul>' if todo else ''}</body></html>\n")
