"""No prompt token is computed twice, usage and log say so to the token, and why reuse stopped.

One byte is one token, so every number here is exact. After a turn of P prompt and C completion
tokens the cache holds P + C - 1: the last token was drawn but never computed.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from server import function

WEATHER = function("get_weather", {"city": {"type": "string"}, "days": {"type": "integer"}}, required=["city"])
CALLS = {
    "hermes": 'I will look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>',
    "qwen3-coder": "I will look.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
                   "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
}


def held(usage):
    return usage["prompt_tokens"] + usage["completion_tokens"] - 1


def cached(usage):
    return usage["prompt_tokens_details"]["cached_tokens"]


def shared(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(model=fake({"when": "question (\\d+)", "say": "This is answer {{1}}. ☂"}, "Hello."))


def test_turn_two_computes_only_what_is_new(server):
    messages = [{"role": "system", "content": "You are a test."}, {"role": "user", "content": "question 1"}]
    first = server.chat(messages)
    messages += [first["choices"][0]["message"], {"role": "user", "content": "question 2"}]
    second = server.chat(messages)
    assert cached(second["usage"]) == held(first["usage"])
    # The end of turn 1 (drawn, never computed), the user's turn, the header; E and S are one token each.
    assert second["usage"]["kvern"]["computed_tokens"] == len("E\nSuser\nquestion 2E\nSassistant\n")
    assert second["usage"]["kvern"]["why"] == "new_text"


def test_the_log_line_of_a_request_has_its_numbers(server):
    answer = server.chat("question 77")
    again = server.chat("question 77")
    for completion in (answer, again):
        line = server.request_log(completion)
        usage = completion["usage"]
        assert line["prompt"] == usage["prompt_tokens"] and line["out"] == usage["completion_tokens"]
        assert line["reused"] == cached(usage) and line["computed"] == usage["prompt_tokens"] - cached(usage)
        assert line["finish"] == "stop" and line["ttft_ms"] > 0 and line["tok_s"] > 0
    assert "question 77" not in "\n".join(server.lines), "a prompt was logged"


def test_an_exact_repeat_computes_one_token(server):
    prompt = "question 5, which nobody asked before"
    server.chat(prompt)
    again = server.chat(prompt)["usage"]
    assert (again["kvern"]["computed_tokens"], again["kvern"]["why"]) == (1, "end")
    assert cached(again) == again["prompt_tokens"] - 1


def test_an_edited_message_is_computed_from_the_edit_on(server):
    def messages(word):
        return [{"role": "user", "content": f"question 6 about the {word} and its colour"}]

    server.chat(messages("sky"))
    edited = server.chat(messages("sea"))["usage"]
    assert cached(edited) == shared(server.prompt(messages("sky")), server.prompt(messages("sea")))
    assert edited["kvern"]["why"] == "edited"


def test_a_new_conversation_says_cold(serve, fake):
    usage = serve(model=fake("Hello.")).chat("Is anybody there?")["usage"]
    assert (cached(usage), usage["kvern"]["why"]) == (0, "cold")


def test_without_cache_everything_is_computed(serve, fake):
    server = serve("--no-cache", model=fake("Hello."))
    server.chat("Hi")
    again = server.chat("Hi")
    assert (cached(again["usage"]), again["usage"]["kvern"]["why"]) == (0, "disabled")
    assert server.request_log(again)["why"] == "disabled"


# The history a client sends back is rendered to the very tokens the model wrote.
@pytest.mark.parametrize("dialect", CALLS)
def test_a_long_agent_session_computes_every_token_once(serve, fake, dialect):
    server = serve(model=fake({"when": "tool_response", "say": "It is sunny, 21 °C."}, CALLS[dialect], dialect=dialect))
    messages = [{"role": "system", "content": "You know the weather."}]
    before = 0
    for turn in range(4):
        messages.append({"role": "user", "content": f"And in week {turn}?"})
        for _ in range(2):  # the call, then the answer
            answer = server.chat(messages, tools=[WEATHER])
            usage = answer["usage"]
            assert cached(usage) == before, f"turn {turn}: {answer['choices'][0]}"
            before = held(usage)
            message = answer["choices"][0]["message"]
            messages.append(message)
            for call in message.get("tool_calls") or []:
                assert json.loads(call["function"]["arguments"]) == {"city": "Paris", "days": 3}
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": "sunny"})


def test_siblings_at_once_compute_their_common_head_once(serve, fake):
    server = serve(model=fake("Done.", prefill_tokens_per_second=6000))
    head = {"role": "system", "content": "All work and no play. " * 136}
    asked = [[head, {"role": "user", "content": f"{letter}: do your part"}] for letter in "ABCD"]
    with ThreadPoolExecutor(4) as pool:
        usages = [answer["usage"] for answer in pool.map(server.chat, asked)]
    prompts = [server.prompt(messages) for messages in asked]
    common = shared(prompts[0], prompts[1])
    assert common > 2900
    computed = sum(usage["kvern"]["computed_tokens"] for usage in usages)
    assert computed == common + sum(len(prompt) - common for prompt in prompts)


def test_choices_of_one_request_share_its_prompt(server):
    answer = server.chat("question 8, three times please", n=3)
    lines = [server.wait_for_log("request", id=f"{answer['id']}-{i}")[0] for i in range(3)]
    prompt = answer["usage"]["prompt_tokens"]
    assert sum(line["computed"] for line in lines) <= prompt + 2
    assert {line["prompt"] for line in lines} == {prompt}


def test_what_the_device_had_to_give_up_comes_back_from_memory(serve, fake):
    server = serve(model=fake("Hello.", context=2048))

    def conversation(letter):
        return [{"role": "user", "content": letter * 1000}]

    for letter in "abcd":
        server.chat(conversation(letter))
    again = server.chat(conversation("a"))["usage"]["kvern"]
    assert again["reused_memory_tokens"] > 0 and again["computed_tokens"] == 1
    # A block of 256 tokens is the smallest thing memory knows: the same holds in the middle of one.
    part = server.chat([{"role": "user", "content": "b" * 700 + "!"}])["usage"]["kvern"]
    assert part["reused_memory_tokens"] >= 512 and part["why"] == "edited"


# Without a byte of memory to save to, what was evicted is computed again, and the answer says why.
def test_without_memory_the_answer_says_evicted(serve, fake):
    server = serve("--cache-ram", "0", model=fake("Hello.", context=2048))
    for letter in "abcd":
        server.chat([{"role": "user", "content": letter * 1000}])
    again = server.chat([{"role": "user", "content": "a" * 1000}])["usage"]["kvern"]
    assert again["reused_memory_tokens"] == 0 and again["computed_tokens"] > 900
    assert again["why"] in ("evicted", "cold")


def test_a_conversation_may_grow_to_the_last_cell(serve, fake):
    server = serve(model=fake({"when": "go", "say": "x" * 4000}, context=1024))
    usage = server.chat("go")["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == 1024
