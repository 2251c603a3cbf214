"""All that the benchmarks measured, in one place: a table here, JSON, and a page with plots.

Reads the newest run of each part under build/bench-*/ and starts nothing. Writes build/bench-report.json and
build/bench-report.html, which needs nothing beside it.

  ./dev bench report [--json]
"""

import argparse
import json
import statistics
from pathlib import Path

from report_page import number, page, verdict
from report_rows import read_all

ROOT = Path(__file__).resolve().parent.parent


def median(values):
    return number(statistics.median(values)) if values else "-"


def line(row):
    ratio = "-" if row.ratio is None else f"{number(row.ratio)}x"
    between = f"{number(min(row.ratios))} to {number(max(row.ratios))}" if len(row.ratios) > 1 else ""
    return (f"  {row.what[:60]:60} {median(row.ours):>9} {median(row.theirs):>12} {row.unit[:8]:8} "
            f"{ratio:>7}  {between:16} {verdict(row)}").rstrip()


def text(parts, absent):
    lines = []
    for part in parts:
        about = ", ".join(f"{name} {value}" for name, value in part.about.items())
        lines += [f"{part.title}  ({about})" if about else part.title,
                  f"  {'':60} {'kvern':>9} {'llama-server':>12} {'':8} {'better':>7}  rounds", *map(line, part.rows)]
        lines += [f"  {what}: not measured, {why}" for what, why in part.missing] + [""]
    return "\n".join(lines + [f"not measured yet: ./dev bench {name}" for name in absent])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")
    args = parser.parse_args()
    build = ROOT / "build"
    parts, absent = read_all(build)
    if not parts:
        raise SystemExit(f"nothing was measured yet; begin with ./dev bench {absent[0]}")
    result = json.dumps({"parts": [part.as_json() for part in parts], "not_measured": absent}, indent=1)
    (build / "bench-report.json").write_text(result)
    (build / "bench-report.html").write_text(page(parts, absent))
    print(result if args.json else text(parts, absent))
    if not args.json:
        print(f"\nwritten: {build / 'bench-report.html'} and bench-report.json beside it")


if __name__ == "__main__":
    main()
