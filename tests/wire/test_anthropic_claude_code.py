"""What Claude Code sends, in its shapes and with texts of our own: no request computes a token again.

One byte is one token, so every number here is exact. After a turn of P prompt and C completion
tokens the cache holds P + C - 1: the last token was drawn but never computed.
"""

import copy
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server import ROOT, message_body, wait_until
from test_tool_calls import written

# One that leaves later system messages out, and one that refuses them as Qwen's newer ones do.
LOSSY = (ROOT / "tests/templates/tools.jinja").read_text()
STRICT = LOSSY.replace("{%- elif message.role != 'system' %}", "{%- elif message.role == 'system' %}{%- if not loop.first %}"
                       "{{- raise_exception('System message must be at the beginning.') }}{%- endif %}{%- else %}")
TEMPLATES = {"described": None, "lossy": LOSSY, "strict": STRICT}


def tool(name, properties, **more):
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": properties,
              "required": list(properties), "additionalProperties": False}
    return {"name": name, "description": f"{name} for a test", "input_schema": schema} | more


BASH = tool("Bash", {"command": {"type": "string"}, "timeout": {"type": "number"}})
READ = tool("Read", {"path": {"type": "string"}})
SEARCH = tool("ToolSearch", {"query": {"type": "string"}})
PLACEHOLDER = tool("DeferredToolPlaceholder", {}, defer_loading=True)
FETCH = tool("WebFetch", {"url": {"type": "string"}}, defer_loading=True)
EDIT = tool("NotebookEdit", {"cell": {"type": "integer"}}, defer_loading=True)
TOOLS = [BASH, READ, SEARCH]
CACHED = {"cache_control": {"type": "ephemeral"}}


def block(text, **more):
    return {"type": "text", "text": text} | more


def billing(suffix):
    return block(f"x-anthropic-billing-header: cc_version=2.1.330.{suffix}; cc_entrypoint=sdk-cli;")


def system(suffix="839"):
    return [billing(suffix), block("You are a test.", **CACHED), block("Work well. " * 40, **CACHED)]


def held(message):
    usage = message["usage"]
    return usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["output_tokens"] - 1


def cached(message):
    return message["usage"]["cache_read_input_tokens"]


def results(message, texts=None, order=1):
    calls = [b for b in message["content"] if b["type"] == "tool_use"]
    return [{"type": "tool_result", "tool_use_id": call["id"], "content": (texts or {}).get(call["name"], f"result of {call['name']}")}
            for call in calls][::order]


def as_sent(messages):
    """The last message in blocks, its last one marked; every other one-block message a string."""
    messages = copy.deepcopy(messages)
    for message in messages[:-1]:
        if message["role"] != "assistant" and len(message["content"]) == 1 and message["content"][0]["type"] == "text":
            message["content"] = message["content"][0]["text"]
    messages[-1]["content"][-1] |= CACHED
    return messages


def opening(prompt):
    """The prompt stands at the end of both: a template may make the second one the last user's message."""
    return [{"role": "user", "content": [block("<system-reminder>\nbranch: main\n</system-reminder>\n"), block(prompt)]},
            {"role": "system", "content": [block("# Environment\nToday is Monday. " * 20 + prompt)]}]


BOTH = f"I look.\n{written('hermes', 'Bash', {'command': 'ls', 'timeout': 5000.0})}\n{written('hermes', 'Read', {'path': 'a'})}"
RULES = [{"when": "result of Read", "say": "Both are there."}, {"when": "result of WebFetch", "say": "The page is empty."},
         {"when": "<functions>", "say": written("hermes", "WebFetch", {"url": "http://x"})},
         {"when": "find a tool", "say": written("hermes", "ToolSearch", {"query": "select:WebFetch"})},
         {"when": "look at both", "say": BOTH}, {"when": "safe to run", "say": "<block>no</block> because"},
         {"when": "title for this", "say": '{"title": "A test"}'}, {"when": "TEXT ONLY", "say": "A summary."}, "Hello there."]


@pytest.fixture(scope="module", params=TEMPLATES)
def server(serve, fake, request, tmp_path_factory):
    template = {}
    if TEMPLATES[request.param]:
        path = tmp_path_factory.mktemp("template") / "chat.jinja"
        path.write_text(TEMPLATES[request.param])
        template = {"template": str(path)}
    return serve("--parallel", "8", model=fake(*RULES, dialect="hermes", **template))


@pytest.fixture
def session(server, request):
    """Asks as one session of Claude Code does; its prompts are its own."""

    def ask(messages, agent=None, **fields):
        headers = {"x-claude-code-session-id": request.node.name, "anthropic-version": "2023-06-01", "anthropic-beta": "no-such-beta-2031-01-01"}
        if agent:
            headers["x-claude-code-agent-id"] = agent
        fields = {"system": system(), "tools": TOOLS, "max_tokens": 32000, "thinking": {"type": "adaptive", "display": "omitted"},
                  "metadata": {"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": request.node.name})},
                  "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                  "output_config": {"effort": "high"}} | fields
        return server.message(messages, headers=headers, **fields)

    return ask


def test_a_tool_loop_computes_every_token_once_however_it_is_spelled(session, request):
    """Strings become blocks and back, cache_control moves, results come in the order of completion."""
    messages = opening(f"{request.node.name}: look at both")
    before = None
    for turn in range(3):
        for order in (-1, 1):
            answer = session(as_sent(messages))
            assert before is None or cached(answer) == before, (turn, order, answer)
            before = held(answer)
            messages.append({"role": "assistant", "content": answer["content"]})
            messages.append({"role": "user", "content": results(answer, order=-1) or [block(f"turn {turn}: look at both")]})


def test_the_billing_block_is_not_part_of_the_prompt(session, server, request):
    messages = opening(request.node.name)
    first = session(as_sent(messages))
    again = session(as_sent(messages), system=system("0b5"))
    assert again["usage"]["input_tokens"] == 1 and cached(again) == held(first) - first["usage"]["output_tokens"]
    assert session(as_sent(messages), system=system()[1:])["usage"]["input_tokens"] == 1


def test_a_system_message_in_the_conversation_is_read_in_its_place(session, server, request):
    messages = opening(request.node.name)
    first = session(as_sent(messages))
    messages += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": [block("And now?")]},
                 {"role": "system", "content": [block("Two tokens are left.")]}]
    second = session(as_sent(messages))
    assert cached(second) == held(first)
    # What it says is in the prompt, and comes behind everything before it: only from there on another one is new.
    fields = {"system": system(), "tools": TOOLS}
    assert server.count_tokens(messages, **fields) > server.count_tokens(messages[:-1], **fields) + len("Two tokens are left.")
    other = session(as_sent([*messages[:-1], {"role": "system", "content": [block("Three tokens are left.")]}]))
    assert held(first) + len("And now?") < cached(other) < second["usage"]["input_tokens"] + cached(second)


def test_loading_a_deferred_tool_costs_its_own_tokens_and_no_other(session, server, request):
    messages = opening(f"{request.node.name}: find a tool")
    fields = {"tools": [BASH, PLACEHOLDER, READ, SEARCH]}
    first = session(as_sent(messages), **fields)
    assert [b["name"] for b in first["content"]] == ["ToolSearch"]
    found = [{"type": "tool_reference", "tool_name": "WebFetch"}, {"type": "tool_reference", "tool_name": "NotebookEdit"}]
    messages += [{"role": "assistant", "content": first["content"]},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": first["content"][0]["id"], "content": found}]}]
    grown = {"tools": [BASH, PLACEHOLDER, EDIT, READ, SEARCH, FETCH]}
    second = session(as_sent(messages), **grown)
    assert cached(second) == held(first)
    # The end of the call, and the result with both definitions.
    definitions = sum(len(json.dumps(t["input_schema"], separators=(",", ":"))) for t in (FETCH, EDIT))
    assert definitions < second["usage"]["input_tokens"] < definitions + 300
    # What was loaded may be called, and stays loaded.
    [call] = second["content"]
    assert (call["name"], call["input"]) == ("WebFetch", {"url": "http://x"})
    messages += [{"role": "assistant", "content": second["content"]}, {"role": "user", "content": results(second)}]
    third = session(as_sent(messages), **grown)
    assert cached(third) == held(second) and third["content"][0]["text"] == "The page is empty."


def test_a_tool_that_is_not_loaded_cannot_be_called(session, request):
    answer = session(opening(f"{request.node.name} <functions>"), tools=[BASH, FETCH])
    assert all(b.get("name") != "WebFetch" for b in answer["content"])


def test_a_call_the_client_could_not_parse_costs_nothing_before_it(session, request):
    messages = opening(f"{request.node.name}: look at both")
    first = session(as_sent(messages), max_tokens=60)
    assert first["stop_reason"] == "max_tokens"
    [call] = [b for b in first["content"] if b["type"] == "tool_use"]
    raw = call["unparsed_input"]
    content = [b for b in first["content"] if b["type"] != "tool_use"]
    content.append({"type": "tool_use", "id": call["id"], "name": call["name"], "input": {"__unparsedToolInput": {"raw": raw, "len": len(raw)}}})
    error = {"type": "tool_result", "tool_use_id": call["id"], "content": "no JSON", "is_error": True}
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [error]}]
    second = session(as_sent(messages))
    prompt = first["usage"]["input_tokens"] + cached(first)
    assert prompt <= cached(second) <= held(first)


def test_arguments_the_client_coerced_are_still_the_call_that_was_generated(session, request):
    messages = opening(f"{request.node.name}: look at both")
    first = session(as_sent(messages))
    content = copy.deepcopy(first["content"])
    [bash] = [b for b in content if b.get("name") == "Bash"]
    assert bash["input"] == {"command": "ls", "timeout": 5000}
    bash["input"] = {"timeout": 5000, "command": "ls"}
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results(first)}]
    assert cached(session(as_sent(messages))) == held(first)


def test_results_of_unknown_calls_are_tolerated(session, request):
    stray = {"type": "tool_result", "tool_use_id": "toolu_of_another_server", "content": "result of nothing"}
    messages = [*opening(request.node.name), {"role": "assistant", "content": "Hm."}, {"role": "user", "content": [stray, block("go on")]}]
    assert session(messages)["stop_reason"] == "end_turn"
    lost = [{"type": "tool_use", "id": "toolu_lost", "name": "Gone", "input": {"a": [1, {"b": None}]}}]
    messages = [*messages, {"role": "assistant", "content": lost}, {"role": "user", "content": "And without a result?"}]
    assert session(messages)["stop_reason"] == "end_turn"


def test_a_title_asked_at_the_same_time_costs_the_conversation_nothing(session, request):
    messages = opening(f"{request.node.name}: look at both")
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False}
    title = {"system": "Write titles. " * 100, "tools": [], "thinking": {"type": "disabled"},
             "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(session, as_sent(messages))
        side = pool.submit(session, [{"role": "user", "content": "title for this"}], **title)
        first, side = first.result(), side.result()
    assert json.loads(side["content"][0]["text"]) == {"title": "A test"}
    messages += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": results(first)}]
    assert cached(session(as_sent(messages))) == held(first)


def test_a_verdict_on_a_command_ends_at_its_stop_sequence(session, request):
    answer = session(f"{request.node.name}: safe to run?", system="Judge commands. " * 500, tools=[], max_tokens=64, stop_sequences=["</block>"])
    assert (answer["content"][0]["text"], answer["stop_reason"], answer["stop_sequence"]) == ("<block>no", "stop_sequence", "</block>")


def test_a_web_search_is_answered_with_plain_text(session, request):
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    answer = session(request.node.name, system="Search.", tools=[search], tool_choice={"type": "auto"})
    assert [b["type"] for b in answer["content"]] == ["text"] and answer["stop_reason"] == "end_turn"


def test_compaction_is_an_extension_of_the_conversation(session, request):
    messages = opening(request.node.name)
    first = session(as_sent(messages))
    messages += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": [block("CRITICAL: Respond with TEXT ONLY.")]}]
    answer = session(as_sent(messages))
    assert cached(answer) == held(first) and answer["content"][0]["text"] == "A summary."


def test_subagents_at_once_share_their_head(session, server, request):
    head = f"{request.node.name}: you look for files. " * 60
    tasks = [f"task {letter}: list them" for letter in "abcd"]
    fields = {"system": head, "tools": [READ]}
    with ThreadPoolExecutor(5) as pool:
        parent = pool.submit(session, opening(request.node.name))
        answers = list(pool.map(lambda task: session(task, agent=task, **fields), tasks))
        parent.result()
    total = server.count_tokens(tasks[0], **fields)
    computed = sum(answer["usage"]["input_tokens"] for answer in answers)
    assert total > 2000 and computed <= total + 3 * (total - len(head)), "the head was computed once"


def test_a_burst_of_counts_needs_no_slot_and_counts_what_the_request_costs(session, server, request):
    requests = len(server.log("request"))
    foo = [{"role": "user", "content": "foo"}]
    with ThreadPoolExecutor(24) as pool:
        counts = list(pool.map(lambda i: server.count_tokens(foo, tools=[TOOLS[i % 3]]), range(24)))
    assert counts == [counts[i % 3] for i in range(24)] and len(server.log("request")) == requests
    messages = opening(request.node.name)
    usage = session(as_sent(messages))["usage"]
    assert server.count_tokens(messages, system=system(), tools=TOOLS) == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_a_retry_finds_what_was_computed_before_the_client_left(serve, fake):
    server = serve(model=fake("Done.", prefill_tokens_per_second=3000))
    body = message_body("word " * 2400, stream=True)
    data = json.dumps(body).encode()
    sock = server.connect()
    sock.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: kvern\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    wait_until(lambda: server.health()["running"] == 1, 5, "running")
    time.sleep(1.5)
    sock.close()
    server.wait_until_idle(3)
    line = server.wait_for_log("request", finish="cancelled")[-1]
    again = server.message("word " * 2400)
    assert line["computed"] > 1000
    # Whole blocks of 256 tokens at least: the end of a cut prefill may not be one.
    assert cached(again) >= line["computed"] - 256
