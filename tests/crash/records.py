"""A cache directory as an outsider sees it: its files, their bytes, and what can happen to them."""

import json
from pathlib import Path

from server import run_kvern

KINDS = (".block", ".tail", ".snapshot", ".turn")


class Records:
    def __init__(self, folder):
        self.folder = Path(folder)

    def files(self):
        """Every file that is there now; others may come and go meanwhile."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def records(self):
        return [path for path in self.files() if path.suffix in KINDS and "quarantine" not in path.parts]

    def names(self):
        return {path.name for path in self.records()}

    def allocated_bytes(self):
        total = 0
        for path in self.files():
            try:
                total += path.stat().st_blocks * 512
            except FileNotFoundError:
                pass
        return total

    def largest_bytes(self):
        return max((path.stat().st_blocks * 512 for path in self.records()), default=0)

    def verify(self):
        """What `kvern cache verify` says; it needs no server, and takes the directory when nobody has it."""
        done = run_kvern("cache", "verify", "--cache-dir", self.folder, "--json")
        assert done.stdout.startswith("{"), f"exit code {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)


# --- what bad hardware, bad luck and other programs do ----------------------------------------------


def flip_bit(path, dice):
    """Gives the file's bytes afterwards; None when it went away meanwhile."""
    try:
        with path.open("r+b") as file:
            data = bytearray(file.read())
            at = dice.randrange(len(data))
            data[at] ^= 1 << dice.randrange(8)
            file.seek(at)
            file.write(data[at:at + 1])
    except FileNotFoundError:
        return None
    return bytes(data)


def truncate(path, dice):
    data = path.read_bytes()[:dice.randrange(path.stat().st_size)]
    path.write_bytes(data)
    return data


def empty(path, _):
    path.write_bytes(b"")
    return b""


def overwrite_with_junk(path, dice):
    data = dice.randbytes(path.stat().st_size)
    path.write_bytes(data)
    return data


def holds(path, data):
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def find_number(tree, name):
    """The sum of all numbers of that name in a JSON tree; None when there is none."""
    found = []
    if isinstance(tree, dict):
        found = [value for key, value in tree.items() if key == name and isinstance(value, (int, float))]
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    found += [number for item in inner if (number := find_number(item, name)) is not None]
    return sum(found) if found else None
