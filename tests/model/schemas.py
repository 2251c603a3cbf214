"""The tools of the tests with real models: 120 schemas as agents and MCP servers send them, one or more for each
keyword, and 18 that are no schema. Each has a request that wants it.

The folder schemas/ holds them: everyday (the first twenty, which other tests use), agents, mcp, objects, values,
combined, references, drafts, and bad. An entry with "judge": false is one that Python cannot check, and says why.
"""

import json
from decimal import Decimal
from pathlib import Path

FOLDER = Path(__file__).parent / "schemas"
SETS = ("everyday", "agents", "mcp", "objects", "values", "combined", "references", "drafts")


def large():
    """What nobody wants to read: an enum of 500, 60 properties, 24 levels."""
    enum = {"type": "string", "enum": [f"module_{i:03}/{'x' * (i % 7)}.cc" for i in range(500)]}
    kinds = [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 99}, {"enum": ["a", "b", None]}]
    properties = {f"option_{i:02}": kinds[i % 3] for i in range(60)}
    nested = {"type": "boolean"}
    for level in range(24):
        nested = {"type": "object", "properties": {f"l{level}": nested}, "required": [f"l{level}"], "additionalProperties": False}
    return {
        "enum_of_500": ("Open module 123.", {"type": "object", "properties": {"module": enum}, "required": ["module"]}),
        "sixty_properties": ("Switch option 7 on.", {"type": "object", "properties": properties, "required": ["option_07"],
                                                     "additionalProperties": False}),
        "many_levels": ("Say yes at the bottom.", nested),
    }


def as_tool(name, request, schema):
    return {"type": "function", "function": {"name": name, "description": request, "parameters": schema}}


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


SCHEMAS = {}
REQUESTS = {}
UNJUDGED = {}  # name: why Python cannot check it
for _set in SETS:
    for _name, _entry in read(_set).items():
        SCHEMAS[_name], REQUESTS[_name] = _entry["schema"], _entry["ask"]
        if not _entry.get("judge", True):
            UNJUDGED[_name] = _entry["why"]
for _name, (_request, _schema) in large().items():
    SCHEMAS[_name], REQUESTS[_name] = _schema, _request

TOOLS = [as_tool(name, REQUESTS[name], SCHEMAS[name]) for name in read("everyday")]
ALL_TOOLS = {name: as_tool(name, REQUESTS[name], SCHEMAS[name]) for name in SCHEMAS}
BAD = read("bad")  # name: what is no schema


def exact(text):
    """JSON with numbers as they were written: 0.3 is a multiple of 0.1."""
    return json.loads(text, parse_float=Decimal)


assert len(TOOLS) == 20 and len(SCHEMAS) == 120 and len(BAD) == 18
