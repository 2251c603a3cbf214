"""Conversations as Codex holds them: every request brings the whole history, and only what is new is computed."""

import itertools
import json

import pytest

from responses_client import (TEMPLATE, cached, call_text, calls_of, create, developer, events, function_tool, held, output,
                              stream, text_of, thought, user)

# A small language of edits, so that its grammar holds what comes out.
GRAMMAR = """start: "BEGIN" LF edit+ "END"
edit: kind ": " /[a-z.]+/ LF line*
kind: "ADD" | "DROP"
line: "+" /[^\\n]*/ LF
%import common.LF
"""
PATCH = "BEGIN\nADD: a.txt\n+say \"hi\" \\ 🦊\n+\nDROP: b.txt\nEND"
APPLY_PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files.",
               "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR}}
AGENTS = {"type": "namespace", "name": "multi_agent_v1", "description": "Runs helpers.",
          "tools": [function_tool("spawn_agent", {"task": {"type": "string"}}), function_tool("close_agent", {"id": {"type": "string"}})]}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Finds tools.",
          "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}
SHELL = function_tool("shell", {"command": {"type": "array", "items": {"type": "string"}}})
TOOLS = [SHELL, APPLY_PATCH, AGENTS, SEARCH, {"type": "web_search"}, {"type": "local_shell"}]
FOUND = function_tool("weather", {"city": {"type": "string"}})

SAYS = [
    ("run it", thought("I run ls.", "I look.\n" + call_text("shell", command=["ls", "-l"]))),
    ("patch it", thought("An edit.", call_text("apply_patch", input=PATCH))),
    ("close it", call_text("multi_agent_v1__close_agent", id="a1")),
    ("find it", call_text("tool_search", query="weather")),
    ("can be called from here on", call_text("mcp__sky__weather", city="Paris")),
    ("local it", call_text("local_shell", command=["pwd"], timeout_ms=5)),
    ("two of them", call_text("shell", command=["a"]) + "\n" + call_text("shell", command=["b"])),
    ("CHECKPOINT", "We ran things."),
    ("result", thought("That is it.", "Done.")),
]
HEADERS = {"session-id": "s-1", "thread-id": "t-1", "originator": "codex_exec"}
FIELDS = {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": True, "reasoning": {"summary": "auto"}, "store": False,
          "include": ["reasoning.encrypted_content"], "prompt_cache_key": "t-1", "client_metadata": {"x": "y"}}


directories = itertools.count()


def opening(ask):
    """A conversation nobody held before."""
    return [developer("You are a coding agent."), developer("Skills: none."),
            user(f"<environment_context>\n<cwd>/src/{next(directories)}</cwd>\n</environment_context>"), user(ask)]


@pytest.fixture(scope="module")
def server(serve, fake, tmp_path_factory):
    template = tmp_path_factory.mktemp("template") / "template.jinja"
    template.write_text(TEMPLATE)
    rules = [{"when": when, "say": say} for when, say in SAYS]
    return serve("--chat-template", str(template), model=fake(*rules, "Hello.", dialect="hermes"))


@pytest.fixture(params=["streamed", "whole"])
def ask(server, request):
    def asked(items, **fields):
        return (stream if request.param == "streamed" else create)(server, items, **(FIELDS | fields))

    return asked


def loop(ask, prompt, result, check=None, keep=lambda item: item):
    """A turn with calls, their results, the answer. Each request after the first computes only its own bytes."""
    items = opening(prompt)
    first = ask(items)
    calls = calls_of(first)
    assert calls
    if check:
        check(calls)
    items = items + [keep(item) for item in first["output"]] + [result(call) for call in calls]
    second = ask(items)
    assert cached(second) == held(first)
    items += [keep(item) for item in second["output"]] + [user("And now?")]
    third = ask(items)
    assert cached(third) == held(second)
    return first, second, third


def test_a_tool_loop_with_reasoning_computes_every_token_once(ask):
    first, second, _ = loop(ask, "run it", lambda call: output(call, "result: a.txt"))
    assert [item["type"] for item in first["output"]] == ["reasoning", "message", "function_call"]
    reasoning = first["output"][0]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "I run ls."}] and reasoning["encrypted_content"]
    assert text_of(second) == "Done."


@pytest.mark.parametrize("keep", [
    pytest.param(lambda item: item | {"summary": [], "content": None} if item["type"] == "reasoning" else item, id="sealed only"),
    pytest.param(lambda item: {key: value for key, value in item.items() if key != "encrypted_content"}, id="not sealed"),
    pytest.param(lambda item: {key: value for key, value in item.items() if key not in ("id", "status")}, id="no ids"),
    pytest.param(lambda item: {"type": "reasoning", "summary": []} if item["type"] == "reasoning" else item, id="no reasoning"),
])
def test_reasoning_comes_back_in_any_shape(ask, keep):
    loop(ask, "run it", lambda call: output(call, "result: a.txt"), keep=keep)


def test_a_custom_tool_gets_raw_text_that_its_grammar_allows(ask, server):
    def check(calls):
        [call] = calls
        assert (call["type"], call["name"], call["input"]) == ("custom_tool_call", "apply_patch", PATCH)

    loop(ask, "patch it", lambda call: output(call, "result: ok"), check)
    found = events(server, opening("patch it"), **FIELDS)
    pieces = [event["delta"] for event in found if event["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(pieces) == PATCH and len(pieces) > 10


def test_a_forced_custom_call_is_a_text_of_its_grammar(server):
    response = create(server, opening("hello"), **(FIELDS | {"tool_choice": {"type": "custom", "name": "apply_patch"},
                                                            "max_output_tokens": 3000, "seed": 3}))
    [call] = calls_of(response)
    assert call["type"] == "custom_tool_call" and call["input"].startswith("BEGIN\n")
    if response["status"] == "completed":
        assert call["input"].endswith("\nEND") or call["input"].endswith("END")


def test_a_namespaced_call_has_its_name_and_its_namespace(ask):
    def check(calls):
        [call] = calls
        assert (call["type"], call["name"], call["namespace"]) == ("function_call", "close_agent", "multi_agent_v1")
        assert json.loads(call["arguments"]) == {"id": "a1"}

    loop(ask, "close it", lambda call: output(call, "result: closed"), check)


def test_a_choice_names_a_namespaced_tool(server):
    name = {"name": "close_agent", "namespace": "multi_agent_v1"}
    for choice in ({"type": "function"} | name,
                   {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function"} | name, {"type": "web_search"}]}):
        response = create(server, opening("close it"), **(FIELDS | {"tool_choice": choice, "max_output_tokens": 2000}))
        [call] = calls_of(response)
        assert (call["name"], call["namespace"]) == ("close_agent", "multi_agent_v1")


def test_outputs_may_be_lists_of_parts(ask):
    def parts(call):
        return output(call, [{"type": "input_text", "text": "result: "}, {"type": "input_text", "text": "a.txt"},
                             {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}])

    loop(ask, "run it", parts)


def test_a_found_tool_can_be_called_and_costs_no_cached_token(ask):
    items = opening("find it")
    first = ask(items)
    [search] = calls_of(first)
    assert (search["type"], search["execution"], search["arguments"]) == ("tool_search_call", "client", {"query": "weather"})
    items += first["output"] + [{"type": "tool_search_output", "call_id": search["call_id"], "execution": "client",
                                 "status": "completed", "tools": [{"type": "namespace", "name": "mcp__sky__", "tools": [FOUND]}]}]
    second = ask(items)
    assert cached(second) == held(first)
    [call] = calls_of(second)
    assert (call["name"], call["namespace"]) == ("weather", "mcp__sky__")
    items += second["output"] + [output(call, "result: sunny")]
    assert cached(ask(items)) == held(second)


def test_a_local_shell_call_is_an_action(ask):
    def check(calls):
        [call] = calls
        assert call["type"] == "local_shell_call"
        assert call["action"] == {"type": "exec", "command": ["pwd"], "env": {}, "timeout_ms": 5}

    loop(ask, "local it", lambda call: {"type": "local_shell_call_output", "call_id": call["call_id"], "output": "result: /"}, check)


def test_results_may_come_between_the_calls_of_one_answer(ask):
    items = opening("two of them")
    first = ask(items)
    one, two = calls_of(first)
    second = ask(items + [one, output(one, "result 1"), two, output(two, "result 2")])
    assert cached(second) == held(first)
    swapped = ask(items + [one, two, output(two, "result 2"), output(one, "result 1")])
    assert swapped["usage"]["input_tokens"] == second["usage"]["input_tokens"]
    assert cached(swapped) == swapped["usage"]["input_tokens"] - 1


def test_a_side_request_without_tools_shows_the_same_history(ask, server):
    items = opening("close it")
    first = ask(items)
    [call] = calls_of(first)
    items += first["output"] + [output(call, "result: closed"), user("CONTEXT CHECKPOINT: summarise.")]
    before = ask(items[:-1])
    assert text_of(ask(items, tools=[])) == "We ran things."
    # The main conversation goes on as if nothing had been between.
    again = ask(items[:-1])
    assert again["usage"]["input_tokens"] == before["usage"]["input_tokens"]
    assert cached(again) == again["usage"]["input_tokens"] - 1


def test_a_retry_computes_one_token(ask):
    items = opening("run it, please, again")
    first = ask(items)
    assert cached(ask(items)) == first["usage"]["input_tokens"] - 1


def test_items_nobody_here_knows_are_passed_over(server):
    strange = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"},
        {"type": "mcp_list_tools", "id": "m_1", "server_label": "s", "tools": []},
        {"type": "ghost_of_the_future", "weight": 3},
        {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c1", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        {"type": "apply_patch_call", "call_id": "c2", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "apply_patch_call_output", "call_id": "c2", "status": "completed", "output": "gone"},
        {"type": "computer_call_output", "call_id": "c3", "output": {"type": "computer_screenshot", "image_url": "data:"}},
        {"type": "additional_tools", "role": "developer", "tools": [FOUND, {"type": "function"}, 5]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I thought."}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "compaction", "encrypted_content": "gAAAA"},
        {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "AAAA"}, {"type": "input_image", "file_id": "f"}]},
    ]
    assert text_of(create(server, [*strange, user("Hi?")], **FIELDS)) == "Hello."
    for item in strange:
        create(server, [user("Hi?"), item], **FIELDS)


def test_a_model_without_its_own_words_for_it_says_nothing_of_images(server):
    counted = [server.post("/v1/responses/input_tokens", {"model": "fake", "input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": f"data:image/png;base64,{'A' * size}"}]}]}).json()["input_tokens"] for size in (4, 4000)]
    assert counted[0] == counted[1]


def test_the_headers_of_a_thread_are_its_session(server):
    response = server.http.post("/v1/responses", json={"model": "gpt-5-codex", "input": opening("hello")} | FIELDS, headers=HEADERS)
    assert response.status_code == 200 and response.json()["model"] == "gpt-5-codex"


def test_a_template_that_knows_one_system_message_only_gets_one(serve, fake, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text("{%- for m in messages %}{% if m.role == 'system' and not loop.first %}"
                        "{{ raise_exception('System message must be at the beginning.') }}{% endif %}{% endfor %}" + TEMPLATE)
    rules = [{"when": when, "say": say} for when, say in SAYS]
    server = serve("--chat-template", str(template), model=fake(*rules, "Hello.", dialect="hermes"))
    loop(lambda items: create(server, items, **FIELDS), "run it", lambda call: output(call, "result: a.txt"))
    late = create(server, [*opening("hello"), developer("From now on be brief."), user("hello")], **FIELDS)
    assert text_of(late) == "Hello."
