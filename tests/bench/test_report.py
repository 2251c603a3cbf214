"""The report says what was measured: the right way round, losses too, and nothing that was not."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import report  # noqa: E402
from report_page import page, verdict  # noqa: E402
from report_rows import PARTS, Row, read_all  # noqa: E402

AGENT = {"seconds": 10, "planned": {"requests": 2, "prompt": 200, "new": 50}, "rows": [
    {"kind": "start", "prompt": 100, "computed": 100, "answer": 4, "ttft_ms": 50.0, "total_ms": 90.0},
    {"kind": "tool", "prompt": 120, "computed": 20, "answer": 4, "ttft_ms": 10.0, "total_ms": 50.0}]}


def worse(value, factor):
    rows = [row | {"computed": factor * row["computed"], "ttft_ms": factor * row["ttft_ms"]} for row in value["rows"]]
    return value | {"rows": rows}


def keep(folder, part, *entries):
    path = folder / f"bench-{part}/run.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"key": key, "value": value}) + "\n" for key, value in entries))


def rows_of(folder, part):
    parts, _ = read_all(folder)
    return {row.what: row for found in parts if found.name == part for row in found.rows}


@pytest.fixture
def measured(tmp_path):
    keep(tmp_path, "agents", (["agents", 0, "kvern"], AGENT), (["agents", 0, "llama-server"], worse(AGENT, 4)),
         (["agents", 1, "llama-server"], worse(AGENT, 2)), (["agents", 1, "kvern"], AGENT),
         (["agents", 2, "kvern"], AGENT))
    keep(tmp_path, "engine", (["engine", "decode", "tok/s", "higher"], {"kvern": [10, 11], "llama-server": [20, 44]}),
         (["engine", "request overhead, <0> tools", "ms", "lower"], {"kvern": [-1], "llama-server": [5]}))
    keep(tmp_path, "tools", (["overhead", "request overhead, 20 known tools", "ms"], {"kvern": [2, 2], "llama-server": [9, 10]}),
         (["validity", "required", "kvern"], {"valid": 100}), (["validity", "required", "llama-server"], {"valid": 80}),
         (["micro"], {"rows": []}))
    keep(tmp_path, "load", *[(["load", "ttft", 0, server], {"alone ms": 5.0, "beside ms": ms, "ratio": ms / 5, "came first": 1.0})
                             for server, ms in (("kvern", 20.0), ("llama-server", 200.0))],
         (["load", "crowd", 0, "kvern"], {"completed of 6": 6.0, "ratio": 1.0}),
         (["load", "crowd", 0, "llama-server"], {"skipped": "it has no cells"}))
    return tmp_path


def test_fewer_computed_tokens_are_so_many_times_better(measured):
    computed = rows_of(measured, "agents")["prompt tokens computed"]
    assert computed.ratios == [4, 2]  # the third round has one server only
    assert computed.ratio == 3
    assert verdict(computed) == "ahead"


def test_a_lower_rate_is_a_loss_and_stands_in_the_summary(measured):
    decode = rows_of(measured, "engine")["decode"]
    assert decode.ratios == [0.5, 0.25]
    assert verdict(decode) == "behind"
    parts, absent = read_all(measured)
    assert "<li>decode: <span class='behind'>0.375×" in page(parts, absent)
    [line] = [line for line in report.text(parts, absent).splitlines() if line.startswith("  decode ")]
    assert line.endswith("behind")


def test_what_cannot_be_divided_has_no_ratio(measured):
    assert rows_of(measured, "engine")["request overhead, <0> tools"].ratio is None


def test_what_one_server_could_not_do_is_told_and_not_compared(measured):
    assert not any("too few cells" in what for what in rows_of(measured, "load"))
    parts, _ = read_all(measured)
    [load] = [part for part in parts if part.name == "load"]
    assert load.missing == [("load crowd 0 llama-server", "it has no cells")]


# A file may be of a version that measured less.
def test_a_measure_that_is_not_there_is_no_row(measured):
    found = rows_of(measured, "load")
    assert "short prompt behind a long one: first token" in found
    keep(measured, "load", *[(["load", "ttft", 0, server], {"beside ms": 5.0}) for server in ("kvern", "llama-server")])
    assert list(rows_of(measured, "load")) == ["short prompt behind a long one: first token"]


def test_parts_without_a_run_are_named(measured):
    parts, absent = read_all(measured)
    assert absent == ["cache"]
    assert {part.name for part in parts} == set(PARTS) - {"cache"}
    assert "./dev bench cache" in page(parts, absent)


def test_within_five_percent_nobody_is_ahead():
    assert verdict(Row("x", "ms", "lower", [100], [104])) == "even"
    assert verdict(Row("x", "ms", "lower", [104], [100])) == "even"
    assert verdict(Row("x", "ms", "lower", [100], [106])) == "ahead"


class Page(HTMLParser):
    """What is open at the end, and what a browser would fetch."""

    VOID = {"meta", "rect", "path", "line"}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.fetched = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_beside_it(measured):
    text = page(*read_all(measured))
    parser = Page()
    parser.feed(text)
    assert parser.open == []
    assert parser.fetched == [] and "script" not in parser.tags and "url(" not in text
    assert parser.tags.count("svg") == 4
    assert "&lt;0&gt; tools" in text and "<0>" not in text
    assert "prefers-color-scheme: dark" in text


# Bars begin at the line of 1 and show which way a server is better without their colour, too.
def test_bars_point_to_whom_is_better():
    from report_page import Axis, bar
    better, worse_ = Row("a", "ms", "lower", [1], [3]), Row("b", "ms", "lower", [3], [1])
    axis = Axis([better, worse_])
    assert axis.low < 1 / 3 and axis.high > 3
    assert f'x="{axis.x(1):.1f}"' in bar(axis, better, 0)
    assert f'x="{axis.x(1 / 3):.1f}"' in bar(axis, worse_, 0)
    assert axis.x(1) - axis.x(1 / 3) == pytest.approx(axis.x(3) - axis.x(1))
