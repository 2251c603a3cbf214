"""With a real model: what is reused is exact, and greedy output with reuse is output without it.

After a turn of P prompt and C completion tokens the cache holds P + C - 1: the last token was
drawn but never computed. So turn 2, whose prompt begins with all of turn 1, computes
prompt2 - (P + C - 1): its own new tokens, and that one.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.model


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def held(answer):
    return answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"] - 1


def shared(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def user(text):
    return {"role": "user", "content": text}


def said(answer):
    return answer["choices"][0]["message"]


QUESTIONS = ["What is the capital of France?", "And of Italy?", "Which of them is larger?", "Thank you. Write a haiku about it."]


@pytest.mark.parametrize("limit", [200, 7], ids=["to_its_end", "cut"])
def test_each_turn_computes_only_its_new_tokens(serve_model, limit):
    server = serve_model()
    messages, before = [], 0
    for question in QUESTIONS:
        messages.append(user(question))
        answer = server.chat(messages, max_tokens=limit)
        assert cached(answer) == before, f"{question}: {answer['usage']}"
        line = server.request_log(answer)
        assert (line["reused"], line["computed"]) == (before, answer["usage"]["prompt_tokens"] - before)
        messages.append(said(answer))
        before = held(answer)


def test_four_siblings_at_once_compute_their_head_once(serve_model):
    server = serve_model("--parallel", "4")
    words = "The river went past the old stone bridge and the harbour to the sea".split()
    system = {"role": "system", "content": " ".join(words[(i * 7 + i // 5) % len(words)] for i in range(2950))}
    asked = [[system, user(text)] for text in ("Name a colour.", "Count to three.", "Say hello!", "What is a boat?")]
    prompts = [server.prompt(messages) for messages in asked]
    head = min(shared(prompts[0], prompt) for prompt in prompts[1:])
    assert head > 2900
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda messages: server.chat(messages, max_tokens=8), asked))
    computed = sum(answer["usage"]["prompt_tokens"] - cached(answer) for answer in answers)
    assert computed <= head + sum(len(prompt) - head for prompt in prompts) + 4


def tokens(answer):
    """The tokens a model drew, as text and bytes."""
    return [(token["token"], token["bytes"]) for token in answer["choices"][0]["logprobs"]["content"]]


def ask(server, messages, **fields):
    return server.chat(messages, **({"logprobs": True, "max_tokens": 60} | fields))


STORY = "A fox lived near a river. Every morning it watched the boats, and every evening it counted them. " * 12
CONVERSATIONS = {
    "turns": QUESTIONS,
    "long_turns": [STORY + "What did the fox watch?", "And what did it count?", "Where did it live?"],
    "code": ["Write a Python function that adds two numbers.", "Now one that multiplies them.", "Show a test for both."],
}


@pytest.fixture(scope="module")
def uncached(serve_model):
    return serve_model("--no-cache")


# A fresh server for each: a lone request in a pool that holds nothing else.
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_with_reuse_is_the_one_without(serve_model, uncached, name):
    server = serve_model()
    messages = []
    for question in CONVERSATIONS[name]:
        messages.append(user(question))
        answer, plain = ask(server, messages), ask(uncached, messages)
        assert cached(plain) == 0
        assert tokens(answer) == tokens(plain), question
        messages.append(said(answer))
    assert cached(answer) > 0


def test_a_branch_with_reuse_is_the_one_without(serve_model, uncached):
    server = serve_model()
    begin = [user(STORY + "What did the fox watch?")]
    first = ask(server, begin)
    for question in ("And what did it count?", "How many legs has a fox?", "Tell me more about the river."):
        branch = [*begin, said(first), user(question)]
        answer = ask(server, branch)
        assert cached(answer) >= held(first)
        assert tokens(answer) == tokens(ask(uncached, branch)), question
    edited = [user(STORY + "What did the fox count?")]
    answer = ask(server, edited)
    assert cached(answer) == shared(server.prompt(begin), server.prompt(edited))
    assert tokens(answer) == tokens(ask(uncached, edited))


def test_an_exact_repeat_is_the_same_again(serve_model, uncached):
    server = serve_model()
    messages = [user(STORY + "Why?")]
    plain = tokens(ask(uncached, messages))
    for expected in (0, 1, 1):
        answer = ask(server, messages)
        assert (cached(answer) > 0) == bool(expected)
        assert tokens(answer) == plain
    assert answer["usage"]["kvern"]["computed_tokens"] == 1


# What left the device and came back from RAM is the same bytes.
def test_blocks_from_memory_are_exact(serve_model, uncached):
    server = serve_model("--parallel", "1", "--context", "2048")
    messages = [user(STORY + "What did the fox watch?")]
    first = ask(server, messages)
    for i in range(3):
        server.chat(f"{i} " + "Something else entirely, to fill the cells. " * 130, max_tokens=1)
    again = ask(server, messages)
    assert again["usage"]["kvern"]["reused_memory_tokens"] > 0
    assert again["usage"]["kvern"]["computed_tokens"] == 1
    assert tokens(again) == tokens(first) == tokens(ask(uncached, messages))
