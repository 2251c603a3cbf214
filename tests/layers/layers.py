"""Who may include whom, and how long a file may be. The picture is in ARCHITECTURE.md."""

import re
from pathlib import Path

LINES_MAX = 500

BASE = {"base"}
CORE = {"base", "core"}
EVERYTHING = None

# Module -> what it may include besides itself: modules, or single headers of one.
ALLOWED = {
    "base": set(),
    "core": BASE,
    "http": BASE,
    "api": CORE,
    "chat": CORE | {"constrain"},
    "constrain": CORE,
    "engine": CORE,
    "agents": CORE,
    "cache": CORE | {"engine/engine.h"},
    "schedule": CORE | {"cache", "constrain", "engine/engine.h"},
    "app": EVERYTHING,
    "cli": EVERYTHING,
}

# The fake engine checks what runs on it, so tests of those layers run on it.
FAKE_ENGINE = "engine/fake/"
TESTED_ON_FAKE_ENGINE = {"cache", "schedule"}
TEST_FILE = re.compile(r"_test(_\w+)?\.(cc|h)$")

# Foreign header -> the only folder that may include it.
CONFINED = [
    (re.compile(r"boost/"), "src/http/"),
    (re.compile(r"(llama|ggml|gguf)[\w-]*\.h$"), "src/engine/llama/"),
    (re.compile(r"(llguidance|kvern_rust)\.h$"), "src/constrain/"),
    (re.compile(r"jinja/"), "src/chat/template/"),
    (re.compile(r"CLI/"), "src/cli/"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(text):
    """Yields (line number, is_quoted, header)."""
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found[1] == '"', found[2]


def is_ours(header):
    return "/" in header and header.split("/")[0] in ALLOWED


def may_include(path, module, header):
    if module in TESTED_ON_FAKE_ENGINE and header.startswith(FAKE_ENGINE) and TEST_FILE.search(path):
        return True
    allowed = ALLOWED[module]
    target = header.split("/")[0]
    return allowed is EVERYTHING or target == module or target in allowed or header in allowed


def check_text(path, text):
    """Sentences about what is wrong with the file; path is relative to the repository."""
    wrong = []
    length = len(text.splitlines())
    if length > LINES_MAX:
        wrong.append(f"{path}: {length} lines; look for the seam before {LINES_MAX}")
    parts = path.split("/")
    module = parts[1] if parts[0] == "src" and len(parts) > 2 else None
    if module is not None and module not in ALLOWED:
        return wrong + [f"{path}: the module '{module}' has no place in the picture yet"]
    for number, quoted, header in includes(text):
        where = f"{path}:{number}"
        for pattern, folder in CONFINED:
            if pattern.match(header) and not path.startswith(folder):
                wrong.append(f"{where}: only {folder} may include {header}")
        if module is None or not quoted:
            continue
        if is_ours(header) and not may_include(path, module, header):
            wrong.append(f"{where}: {module} may not include {header}")
        if header.startswith("."):
            wrong.append(f"{where}: name headers from src/, not relative to the file: {header}")
    return wrong


def check_tree(root):
    """All complaints about the tree, and how many files were read."""
    wrong, count = [], 0
    for folder in ("src", "fuzz", "bench", "tests"):
        for path in sorted((Path(root) / folder).rglob("*")):
            if path.suffix not in (".cc", ".h", ".py", ".mjs") or "node_modules" in path.parts:
                continue
            count += 1
            wrong += check_text(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    return wrong, count
