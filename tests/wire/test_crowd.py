"""More work at once than there are cells: it takes longer, nothing else."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from server import chat_body, run_kvern

CELLS = 2048
TALE = {"when": "tale of ([a-z])", "say": "It begins: " + "{{1}} " * 110 + "the end."}
SCHEMA = {"type": "object", "properties": {"tale": {"type": "string", "maxLength": 200}}, "required": ["tale"]}


def ask(letter):
    body = chat_body([{"role": "user", "content": letter * 420 + f" tale of {letter}"}])
    if letter in "bdf":  # half of them must go on in their grammar
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "tale", "schema": SCHEMA}}
    return body


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve("--parallel", "6", model=fake(TALE, context=CELLS, cells=CELLS, tokens_per_second=100))


def test_six_requests_of_one_and_a_half_times_the_cells_say_what_each_says_alone(server, serve, fake):
    with ThreadPoolExecutor(6) as pool:
        answers = dict(zip("abcdef", pool.map(lambda letter: server.post("/v1/chat/completions", ask(letter)), "abcdef")))
    lone = serve(model=fake(TALE, context=CELLS, cells=CELLS))
    tokens = 0
    for letter, answer in answers.items():
        assert answer.status_code == 200, answer.text
        choice = answer.json()["choices"][0]
        assert choice["finish_reason"] == "stop"
        alone = lone.post("/v1/chat/completions", ask(letter)).json()
        assert choice["message"]["content"] == alone["choices"][0]["message"]["content"]
        tokens += answer.json()["usage"]["total_tokens"]
    assert tokens > 1.4 * CELLS
    assert json.loads(answers["b"].json()["choices"][0]["message"]["content"]).keys() == {"tale"}
    assert server.log("preempted") or max(entry["queue_ms"] for entry in server.log("request")) > 20, "nobody waited"


def test_a_ratio_that_is_none_is_refused_with_the_flags_name(kvern):
    for ratio in ("0.5", "much", "nan"):
        run = run_kvern("serve", "--latency-target", ratio)
        assert run.returncode == 2 and "--latency-target" in run.stderr, run.stderr
