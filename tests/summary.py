"""Adds up what ctest, GoogleTest and pytest wrote, and ends with one line: N passed, N failed, N skipped.

summary.py FOLDER [--expect NAME ...]: FOLDER holds NAME.xml files and gtest/*.xml. A report named
by --expect that is not there counts as a failure: its tests did not run.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def outcome(case):
    """('passed' | 'failed' | 'skipped' | 'disabled', why)"""
    if case.get("status") == "notrun" and case.find("skipped") is None:
        return "disabled", ""
    for kind, tags in (("failed", ("failure", "error")), ("skipped", ("skipped",))):
        for tag in tags:
            found = case.find(tag)
            if found is not None:
                text = found.get("message") or found.text or ""
                if text == "collection skipped":  # a whole file; pytest says why in the tuple below
                    text = (found.text or text).rpartition("Skipped: ")[2].rstrip("\"')")
                return kind, text.strip().split("\n")[0]
    return "passed", ""


def read_cases(path):
    """[(name, outcome, why)]; None when the file is damaged: its writer died."""
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError:
        return None
    cases = []
    for case in root.iter("testcase"):
        name = ".".join(dict.fromkeys(part for part in (case.get("classname"), case.get("name")) if part))
        cases.append((name, *outcome(case)))
    return cases


def collect(folder, expected):
    cases = []
    binaries = {path.stem: read_cases(path) for path in sorted((folder / "gtest").glob("*.xml"))}
    for path in sorted(folder.glob("*.xml")):
        for name, result, why in read_cases(path) or [(path.name, "failed", "damaged report")]:
            inner = binaries.pop(name.split(".")[-1] + "_test", None) if path.name.startswith("ctest") else None
            if inner is None:
                cases.append((name, result, why))  # no GoogleTest, or it died before its report
                continue
            cases += inner
            # All of its cases passed and it still failed: a sanitizer, or a crash at the end.
            if result == "failed" and not any(case[1] == "failed" for case in inner):
                cases.append((name, "failed", why or "the test program failed after its tests"))
    for name in expected:
        if not (folder / f"{name}.xml").exists():
            cases.append((name, "failed", "it wrote no report"))
    return cases


def main():
    folder = Path(sys.argv[1])
    expected = sys.argv[3:] if sys.argv[2:3] == ["--expect"] else []
    cases = collect(folder, expected)
    count = {kind: sum(case[1] == kind for case in cases) for kind in ("passed", "failed", "skipped")}
    for kind in ("skipped", "failed"):
        for name, result, why in cases:
            if result == kind:
                print(f"{kind.upper()}: {name}{': ' + why if why else ''}")
    if sum(count.values()) == 0:
        print("FAILED: no test ran")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    sys.exit(0 if count["failed"] == 0 and count["passed"] > 0 else 1)


if __name__ == "__main__":
    main()
