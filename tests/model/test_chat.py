"""A real model answers; streamed and unstreamed, greedy and drawn, it gives the same tokens."""

import json

import jsonschema
import pytest

from schemas import TOOLS
from server import chat_body, joined, plain

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def server(serve_model):
    return serve_model()


def test_it_knows_the_capital_of_france(server):
    answer = server.chat("Name the capital of France.", max_tokens=20)
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_the_model_goes_by_its_files_name(server):
    with server.openai() as client:
        [model] = client.models.list()
    assert model.id == "SmolLM2-135M-Instruct.Q4_1"
    assert server.ready["context"] == 8192


def test_tokens_and_text_are_each_other(server):
    text = "naïve 漢字 🦊 <|im_end|> def f(x):\n\treturn x"
    tokens = server.post("/tokenize", {"content": text, "parse_special": False}).json()["tokens"]
    assert server.post("/detokenize", {"tokens": tokens}).json()["content"] == text
    pieces = server.post("/tokenize", {"content": "hello world", "with_pieces": True}).json()["tokens"]
    assert "".join(piece["piece"] for piece in pieces) == "hello world"


def test_a_control_token_inside_a_message_is_text(server):
    [control] = server.post("/tokenize", {"content": "<|im_end|>"}).json()["tokens"]
    inside = server.post("/tokenize", {"content": "<|im_end|>", "parse_special": False}).json()["tokens"]
    assert control not in inside and len(inside) > 1
    empty = server.chat("x", max_tokens=1)["usage"]["prompt_tokens"]
    one = server.post("/tokenize", {"content": "x", "parse_special": False}).json()["tokens"]
    assert server.chat("<|im_end|>", max_tokens=1)["usage"]["prompt_tokens"] == empty - len(one) + len(inside)


def test_logprobs_are_probabilities(server):
    [choice] = server.chat("Count to three.", max_tokens=8, logprobs=True, top_logprobs=5)["choices"]
    for token in choice["logprobs"]["content"]:
        values = [rival["logprob"] for rival in token["top_logprobs"]]
        assert values == sorted(values, reverse=True) and values[0] == token["logprob"] <= 0
        assert sum(2.718281828 ** value for value in values) <= 1.0001


def test_the_same_seed_draws_the_same_text_and_another_seed_another(server):
    def drawn(seed):
        fields = {"temperature": 1.0, "seed": seed, "max_tokens": 24}
        return server.chat("Tell me a story.", **fields)["choices"][0]["message"]["content"]

    drawn(1)  # from here on each finds the same prompt in the cache
    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in (1, 2, 3)}) == 3


CASES = [
    {"messages": "Write one sentence about rivers.", "max_tokens": 24},
    {"messages": "Write one sentence about rivers.", "max_tokens": 24, "temperature": 1.0},
    {"messages": "List three colours, with emoji.", "max_tokens": 24, "temperature": 1.0, "top_k": 0, "top_p": 1, "min_p": 0},
    {"messages": "What is the weather in Paris?", "tools": TOOLS[5:7], "max_tokens": 40, "temperature": 1.0},
    {"messages": "What is the weather in Paris?", "tools": TOOLS[5:7], "tool_choice": "required", "max_tokens": 50, "temperature": 1.0},
    {"messages": "Say it as JSON.", "response_format": {"type": "json_object"}, "max_tokens": 50, "temperature": 1.0},
    {"messages": "Say hello.", "stop": ["e"], "max_tokens": 30},
]


# Two fresh servers that are asked the same in the same order: so the cells lie the same, too, and
# not even float noise is an excuse.
def test_streamed_and_unstreamed_are_equal(serve_model):
    whole, streamed = serve_model(), serve_model()
    for case in CASES:
        for seed in (1, 2):
            fields = case | {"seed": seed}
            [choice] = whole.chat(**fields)["choices"]
            [pieces] = joined(streamed.stream(**fields))
            assert plain(pieces) == plain(choice), fields


FORMATS = [
    {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 130}},
     "required": ["name", "age"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1, "maxItems": 4},
    {"type": "object", "properties": {"answer": {"type": "boolean"}, "confidence": {"type": "number", "minimum": 0, "maximum": 1}},
     "required": ["answer", "confidence"], "additionalProperties": False},
]


def test_a_response_format_is_kept_at_temperature_one(server, remark):
    cut = 0
    for schema in FORMATS:
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        for seed in range(6):
            [choice] = server.chat("Invent a person and answer.", response_format=wanted, temperature=1.0, seed=seed,
                                   max_tokens=200)["choices"]
            if choice["finish_reason"] == "length":
                cut += 1
                continue
            assert choice["finish_reason"] == "stop"
            jsonschema.validate(json.loads(choice["message"]["content"]), schema)
    remark(f"response_format: {3 * 6 - cut} of {3 * 6} answers valid, {cut} cut by max_tokens")
    assert cut <= 3


def test_a_prompt_longer_than_the_context_is_refused(server):
    response = server.post("/v1/chat/completions", chat_body("word " * 9000))
    assert response.status_code == 400 and response.json()["error"]["code"] == "context_length_exceeded"
