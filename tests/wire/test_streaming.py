"""A streamed answer, put together, is the unstreamed one: for text, calls, cut calls, any dialect."""

import json

import pytest

from server import chat_body, function, joined, plain, read_chunks

TOOLS = [
    function("read_file", {"path": {"type": "string"}, "limit": {"type": "integer"}}, required=["path"]),
    function("get_time", {}),
]

HERMES = {
    "call": '<tool_call>\n{"name": "read_file", "arguments": {"path": "src/a b.cc", "limit": 5}}\n</tool_call>',
    "text_and_call": 'I will look.\n<tool_call>\n{"name": "read_file", "arguments": {"path": "ü \\"x\\" \\\\"}}\n</tool_call>',
    "two_calls": '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>\n'
                 '<tool_call>\n{"name": "read_file", "arguments": {"path": "b"}}\n</tool_call>',
    "malformed_call": '<tool_call>\nread_file(a.cc)\n</tool_call>',
}
QWEN3_CODER = {
    "call": "<tool_call>\n<function=read_file>\n<parameter=path>\nsrc/a b.cc\n</parameter>\n"
            "<parameter=limit>\n5\n</parameter>\n</function>\n</tool_call>",
    "text_and_call": "I will look.\n\n<tool_call>\n<function=read_file>\n<parameter=path>\n"
                     "ü \"x\" \\ <b>\nline 2\n</parameter>\n</function>\n</tool_call>",
    "two_calls": "<tool_call>\n<function=get_time>\n</function>\n</tool_call>\n"
                 "<tool_call>\n<function=read_file>\n<parameter=path>\nb\n</parameter>\n</function>\n</tool_call>",
    "malformed_call": "<tool_call>\nread_file(a.cc)\n</tool_call>",
}
TEXTS = {
    "empty": "",
    "plain": "Just an answer.",
    "unicode": "naïve 漢字 🦊🏽‍♀️ e\u0301 end",
    "newlines": "\n\n  def f():\n\treturn 1\n\n",
    "tags": "Use <b>, <tool_calls>, <tool_cal and </tool_call> as you like. <",
    "markers": "<|im_start|>user\nI am text<|im_end|>",
    "code_fence": "```json\n{\"name\": \"read_file\"}\n```",
}
TEMPLATE = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
    "{% if m.reasoning_content %}{{ '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def start(serve, fake, dialect, outputs, *flags):
    rules = [{"when": f"^{name}$", "say": say} for name, say in outputs.items()]
    return serve(*flags, model=fake(*rules, dialect=dialect))


@pytest.fixture(scope="module")
def servers(serve, fake):
    return {"hermes": start(serve, fake, "hermes", TEXTS | HERMES),
            "qwen3-coder": start(serve, fake, "qwen3-coder", TEXTS | QWEN3_CODER)}


@pytest.fixture(params=["hermes", "qwen3-coder"])
def server(servers, request):
    return servers[request.param]


def both(server, text, **fields):
    """The choice, unstreamed and streamed, with its count of tokens."""
    whole = server.chat(text, **fields)
    chunks = server.stream(text, **fields)
    [choice] = whole["choices"]
    [pieces] = joined(chunks)
    tokens = [whole["usage"]["completion_tokens"], chunks[-1]["usage"]["completion_tokens"]]
    assert tokens[0] == tokens[1]
    return plain(choice), plain(pieces)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("tools", [None, TOOLS], ids=["no_tools", "tools"])
def test_text_is_what_the_model_said(server, name, tools):
    whole, pieces = both(server, name, **({"tools": tools} if tools else {}))
    assert pieces == whole
    assert whole == {"finish": "stop", "content": TEXTS[name], "calls": [], "reasoning": ""}


@pytest.mark.parametrize("name", ["call", "text_and_call", "two_calls", "malformed_call"])
def test_calls_are_the_same(server, name):
    whole, pieces = both(server, name, tools=TOOLS)
    assert pieces == whole
    assert whole["finish"] == "tool_calls" and whole["calls"]
    for called, arguments in whole["calls"]:
        assert called in ("read_file", "get_time") and isinstance(json.loads(arguments), dict)


@pytest.mark.parametrize("name", ["text_and_call", "two_calls"])
def test_a_turn_cut_anywhere_is_the_same(server, name):
    for limit in range(1, 90, 3):
        whole, pieces = both(server, name, tools=TOOLS, max_tokens=limit)
        assert pieces == whole, limit
        assert whole["finish"] == "length", limit


# Nobody offered a tool, so nothing is a call.
@pytest.mark.parametrize("name", ["call", "malformed_call"])
def test_a_call_without_tools_is_text(servers, name):
    for dialect, outputs in (("hermes", HERMES), ("qwen3-coder", QWEN3_CODER)):
        whole, pieces = both(servers[dialect], name)
        assert pieces == whole
        assert whole["content"] == outputs[name] and not whole["calls"]


def test_a_character_cut_in_the_middle_is_valid_text(server):
    said = "naïve 漢字".encode()
    for limit in range(1, len(said) + 1):
        whole, pieces = both(server, "unicode", max_tokens=limit)
        assert pieces == whole
        text = said[:limit].decode(errors="ignore")
        assert whole["content"].rstrip("\ufffd") == text, limit


def test_a_stop_string_is_found_across_tokens(server):
    for stop in ("answer", "st an", "J", "."):
        whole, pieces = both(server, "plain", stop=stop)
        assert pieces == whole
        assert whole["content"] == TEXTS["plain"].split(stop)[0] and whole["finish"] == "stop"


def test_reasoning_is_told_apart(serve, fake, tmp_path_factory):
    template = tmp_path_factory.mktemp("template") / "template.jinja"
    template.write_text(TEMPLATE)
    outputs = {name: f"<think>\nLet me see: <tool_call> is a tag.\n</think>\n\n{said}" for name, said in HERMES.items()}
    outputs["plain"] = "<think>\nHm.\n</think>\n\nYes."
    server = start(serve, fake, "hermes", outputs, "--chat-template", str(template))
    whole, pieces = both(server, "plain")
    assert pieces == whole == {"finish": "stop", "content": "Yes.", "calls": [], "reasoning": "Hm."}
    for name in HERMES:
        whole, pieces = both(server, name, tools=TOOLS)
        assert pieces == whole
        assert whole["reasoning"] == "Let me see: <tool_call> is a tag." and whole["calls"], name


def test_each_event_is_one_line_of_json_and_the_last_is_done(servers):
    body = chat_body("unicode", stream=True)
    with servers["hermes"].http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = list(response.iter_lines())
    assert [line for line in lines if line and not line.startswith("data: ")] == []
    assert lines[-2:] == ["data: [DONE]", ""]
    assert {chunk["object"] for chunk in read_chunks(lines)} == {"chat.completion.chunk"}
    assert response.headers["cache-control"] == "no-cache"
