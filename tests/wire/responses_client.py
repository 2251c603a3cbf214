"""Speaks /v1/responses and holds every stream to the format's rules."""

import json

ENDINGS = ("response.completed", "response.incomplete", "response.failed")
LIFE = ("response.created", "response.in_progress", *ENDINGS)
# What a delta adds to, and the member of its "done" event that holds the whole.
TEXTS = {"response.output_text": "text", "response.reasoning_text": "text",
         "response.function_call_arguments": "arguments", "response.custom_tool_call_input": "input"}


def body(items, **fields):
    return {"model": "fake", "input": items, "temperature": 0} | fields


def create(server, items, status=200, **fields):
    """One unstreamed answer; an error's object when another status is expected."""
    response = server.post("/v1/responses", body(items, **fields))
    assert response.status_code == status, response.text
    return response.json() if status == 200 else response.json()["error"]


def read_events(lines):
    """[(event, data)] of a stream. An event's line and its data go together."""
    events = []
    name = None
    for line in lines:
        if line.startswith("event: "):
            assert name is None, "an event without data"
            name = line[7:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
            assert name == data["type"], line
            events.append(data)
            name = None
        else:
            assert line == "" or line.startswith(":"), line
    return events


def events(server, items, **fields):
    with server.http.stream("POST", "/v1/responses", json=body(items, stream=True, **fields)) as response:
        if response.status_code != 200:
            raise AssertionError(response.read())
        assert response.headers["content-type"].startswith("text/event-stream")
        found = read_events(response.iter_lines())
    check(found)
    return found


def stream(server, items, **fields):
    """The response object a stream ends with."""
    return events(server, items, **fields)[-1]["response"]


def check(found):
    """Numbers are contiguous, items do not overlap, deltas add up, and the last event repeats it all."""
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [event["type"] for event in found[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] for event in found if event["type"] in ENDINGS] == [found[-1]["type"]]
    items = []
    open_item = text = None
    for event in found[2:-1]:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert open_item is None and event["output_index"] == len(items)
            open_item, text = event["item"], ""
            assert open_item["status"] == "in_progress"
            continue
        assert open_item is not None and event["output_index"] == len(items), kind
        if kind == "response.output_item.done":
            assert event["item"]["id"] == open_item["id"] and event["item"]["type"] == open_item["type"]
            items.append(event["item"])
            open_item = None
            continue
        assert event["item_id"] == open_item["id"]
        has_content = open_item["type"] in ("message", "reasoning")
        assert event.get("content_index") == (0 if has_content else None), kind
        stem, _, what = kind.rpartition(".")
        if what == "delta":
            assert event["delta"], "an empty delta"
            text += event["delta"]
        elif stem in TEXTS:
            assert event[TEXTS[stem]] == text
        else:
            assert stem == "response.content_part"
            assert event["part"]["text"] == (text if what == "done" else "")
    assert open_item is None
    assert found[-1]["response"]["output"] == items
    assert all(item["status"] == "completed" for item in items[:-1])
    assert len({item["id"] for item in items}) == len(items)
    assert {event["response"]["id"] for event in found if event["type"] in LIFE} == {found[-1]["response"]["id"]}


def text_of(response):
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def calls_of(response):
    return [item for item in response["output"] if item["type"].endswith("_call")]


def plain(response):
    """A response without what differs from run to run."""
    def bare(item):
        return {key: value for key, value in item.items() if key not in ("id", "call_id")}

    kept = {key: value for key, value in response.items() if key not in ("id", "created_at", "usage", "output")}
    usage = {key: response["usage"][key] for key in ("input_tokens", "output_tokens", "output_tokens_details", "total_tokens")}
    return kept | {"usage": usage, "output": [bare(item) for item in response["output"]]}


def cached(response):
    return response["usage"]["input_tokens_details"]["cached_tokens"]


def held(response):
    """What the cache holds of it: the last token was drawn but never computed."""
    return response["usage"]["total_tokens"] - 1


def user(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def developer(text):
    return {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]}


def function_tool(name, properties, **fields):
    parameters = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "name": name, "description": f"Does {name}.", "strict": False, "parameters": parameters} | fields


def output(call, result):
    """The item that answers a call."""
    kind = "custom_tool_call_output" if call["type"] == "custom_tool_call" else "function_call_output"
    return {"type": kind, "call_id": call["call_id"], "output": result}


# A model that thinks, and whose template shows what it thought, its calls and their results.
TEMPLATE = (
    "{%- if tools %}{{ '<|im_start|>system\\n<tools>\\n' }}{% for t in tools %}{{ t | tojson + '\\n' }}{% endfor %}"
    "{{ '</tools><|im_end|>\\n' }}{% endif %}"
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
    "{% if m.reasoning_content %}{{ '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}{{ '\\n<tool_call>\\n' + ({'name': c.function.name, "
    "'arguments': c.function.arguments} | tojson) + '\\n</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def call_text(name, **arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}\n</tool_call>'


def thought(text, rest):
    return f"<think>\n{text}\n</think>\n\n{rest}"
