"""Sends the plan of agent_traffic.py to one server, every agent on its own thread, and keeps what each request cost."""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from scenarios.agent_traffic import in_order, new_tokens, traffic
from scenarios.text import words

TEMPLATE_TOKENS = 5  # around each message, in the templates of small models
END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<eos>", "</s>")


class Pace:
    """How far the plan is shrunk: tokens to the model's context, pauses to the patience of whoever waits."""

    def __init__(self, scale=16.0, haste=20.0):
        self.scale, self.haste = scale, haste

    def tokens(self, recorded):
        return max(1, round(recorded / self.scale))

    def seconds(self, recorded):
        return recorded / self.haste


def text_of(message, pace):
    return words(max(1, pace.tokens(message.tokens) - TEMPLATE_TOKENS), message.name)


def body_of(request, pace, never):
    messages = [{"role": message.role, "content": text_of(message, pace)} for message in request.messages]
    return {"model": "default", "messages": messages, "max_tokens": pace.tokens(request.answer), "temperature": 0,
            "logit_bias": never, "prompt_cache_key": request.who}


def end_tokens(server):
    """What would end an answer early: two servers are to generate equally many tokens."""
    never = {}
    for text in END_TOKENS:
        tokens = server.post("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
        if len(tokens) == 1:
            never[str(tokens[0])] = -100
    return never


def ask(server, request, pace, never):
    """One row: what the request was, and the server's own numbers about it."""
    row = {"kind": request.kind}
    try:
        times, events = server.stream("/v1/chat/completions", body_of(request, pace, never))
        usage = next(event["usage"] for event in reversed(events) if event.get("usage"))
    except (OSError, SystemExit, StopIteration, ValueError, http.client.HTTPException) as e:
        return row | {"failed": f"{type(e).__name__}: {e}"[:200]}
    return row | {"prompt": usage["prompt_tokens"], "computed": computed(usage, events), "answer": usage["completion_tokens"],
                  "ttft_ms": 1000 * first_token(times, events), "total_ms": 1000 * times[-1]}


def computed(usage, events):
    """llama-server counts in its timings what it computed, kvern in its usage."""
    timings = next((event["timings"] for event in reversed(events) if event.get("timings")), {})
    if "prompt_n" in timings:
        return timings["prompt_n"]
    return usage["prompt_tokens"] - (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)


def first_token(times, events):
    for at, event in zip(times, events):
        for choice in event.get("choices") or []:
            if choice["delta"].get("content") or choice.get("finish_reason"):
                return at
    return times[-1]


class Run:
    def __init__(self, server, pace):
        self.server, self.pace = server, pace
        self.never = end_tokens(server)
        self.rows, self.lock = [], threading.Lock()

    def one(self, request):
        time.sleep(self.pace.seconds(request.think_s))
        row = ask(self.server, request, self.pace, self.never)
        with self.lock:
            self.rows.append(row)

    def in_turn(self, requests):
        for request in requests:
            self.one(request)

    def agent(self, steps):
        for step in steps:
            self.one(step.request)
            if step.beside:
                with ThreadPoolExecutor(len(step.beside)) as pool:
                    list(pool.map(self.in_turn, step.beside))


def measure(server, seed, turns, pace):
    """Rows of every request, the seconds it all took, and what a server that forgets nothing would compute."""
    agents = traffic(seed, turns=turns)
    run = Run(server, pace)
    begin = time.monotonic()
    with ThreadPoolExecutor(len(agents)) as pool:
        list(pool.map(run.agent, agents))
    seconds = time.monotonic() - begin
    return {"seconds": seconds, "planned": planned(agents, pace), "rows": run.rows}


def planned(agents, pace):
    requests = list(in_order(agents))
    return {"requests": len(requests), "prompt": round(sum(request.prompt for request in requests) / pace.scale),
            "new": round(sum(new_tokens(requests)) / pace.scale)}
