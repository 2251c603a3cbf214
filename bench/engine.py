"""kvern beside llama-server built from the same source, on the same model, in one run.

Rounds alternate between the two, one request at a time; figures are medians and the ratio of them.
Absolute times belong to this machine, ratios are what the table is for.

  ./dev bench [engine] [--model FILE.gguf] [--rounds N] [--json]
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from servers import Server, start_pair

WORDS = ("river stone lantern cloud market window garden silver engine paper mountain signal bridge forest "
         "number letter harbor candle mirror ladder").split()


def prose(tokens: int, seed: int) -> str:
    """About that many tokens of text no other seed shares a beginning with."""
    pick = random.Random(seed)
    return " ".join(pick.choice(WORDS) for _ in range(tokens))


def tools(count: int) -> list[dict]:
    pick = random.Random(count)
    result = []
    for i in range(count):
        properties = {
            f"{pick.choice(WORDS)}_{n}": {"type": kind}
            for n, kind in enumerate(("string", "integer", "boolean", "string"))
        }
        result.append({"type": "function", "function": {
            "name": f"{pick.choice(WORDS)}_{i}", "description": "Does it.",
            "parameters": {"type": "object", "properties": properties, "required": list(properties)[:2]}}})
    return result


def decode_rate(server: Server, round_: int) -> float:
    """Tokens a second of one lone stream, first token to last."""
    body = {"model": "default", "prompt": f"Round {round_}. " + prose(64, round_), "max_tokens": 128,
            "temperature": 0, "logit_bias": {"2": -100, "0": -100}}
    times, events = server.stream("/v1/completions", body)
    shown = [t for t, e in zip(times, events) if e.get("choices") and e["choices"][0].get("text")]
    return (len(shown) - 1) / (shown[-1] - shown[0])


def prefill_rate(server: Server, round_: int) -> float:
    """Prompt tokens a second of a prompt nothing is cached of."""
    body = {"model": "default", "prompt": f"{round_} " + prose(2500, 1000 + round_), "max_tokens": 1, "temperature": 0}
    times, events = server.stream("/v1/completions", body)
    usage = events[-1]["usage"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    first = next(t for t, e in zip(times, events) if e.get("choices"))
    return (usage["prompt_tokens"] - cached) / first


def conversation(round_: int, extra_turn: bool) -> list[dict]:
    messages = [{"role": "system", "content": "You are brief."},
                {"role": "user", "content": f"{round_} " + prose(2000, 5000)}]
    if extra_turn:
        messages += [{"role": "assistant", "content": "Noted."}, {"role": "user", "content": "And then?"}]
    return messages


def first_token(times, events) -> float:
    for t, e in zip(times, events):
        delta = e["choices"][0]["delta"] if e.get("choices") else {}
        if delta.get("content") or delta.get("tool_calls") or (e.get("choices") and e["choices"][0].get("finish_reason")):
            return t
    raise SystemExit("a stream without a token")


def warm_ttft(server: Server, round_: int) -> float:
    """Milliseconds to the first token of a conversation's second turn, the first one being cached."""
    ask = {"model": "default", "temperature": 0, "max_tokens": 1}
    server.stream("/v1/chat/completions", ask | {"messages": conversation(round_, False)})
    return 1000 * first_token(*server.stream("/v1/chat/completions", ask | {"messages": conversation(round_, True)}))


def timed(server: Server, body: dict) -> tuple[float, int]:
    """Milliseconds of an unstreamed request, and its completion tokens."""
    begin = time.perf_counter()
    answer = server.post("/v1/chat/completions", body)
    return 1000 * (time.perf_counter() - begin), answer["usage"]["completion_tokens"]


def overhead(server: Server, count: int) -> float:
    """Milliseconds a warm, identical request takes beyond the steps that make its tokens."""
    body = {"model": "default", "temperature": 0, "messages": [{"role": "user", "content": "Tell me a story."}]}
    if count:
        body |= {"tools": tools(count), "tool_choice": "auto"}
    one, _ = timed(server, body | {"max_tokens": 1})
    nine, tokens = timed(server, body | {"max_tokens": 9})
    if tokens < 3:
        raise SystemExit(f"{server.name}: too few tokens to know a step's time")
    return one - (nine - one) / (tokens - 1)


def measure(pair, rounds: int) -> list[tuple[str, str, bool, list[float], list[float]]]:
    """(what, unit, higher is better, kvern's values, llama-server's values)"""
    rows = []

    def row(what, unit, higher, function, n):
        values = ([], [])
        for round_ in range(n):
            order = (0, 1) if round_ % 2 == 0 else (1, 0)
            for which in order:
                values[which].append(function(pair[which], round_))
        rows.append((what, unit, higher, *values))
        print(f"measured: {what}", file=sys.stderr)

    row("decode", "tok/s", True, decode_rate, rounds)
    row("prefill, 2.5k tokens", "tok/s", True, prefill_rate, max(3, rounds // 2))
    row("warm second turn, first token", "ms", False, warm_ttft, max(3, rounds // 2))
    for count in (0, 20, 60):
        for server in pair:
            overhead(server, count)
        row(f"request overhead, {count} warm tools", "ms", False, lambda s, _, c=count: overhead(s, c), rounds)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL", ""))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kvern"
    model = args.model or str(cache / "models/SmolLM2-135M-Instruct.Q4_1.gguf")
    if not Path(model).exists():
        raise SystemExit(f"{model} is missing; start ./dev run once, which fetches it, or name one with --model")

    pair = start_pair(model, args.threads, args.context, Path(tempfile.gettempdir()) / "kvern-bench")
    try:
        rows = measure(pair, args.rounds)
    finally:
        for server in pair:
            server.stop()

    if args.json:
        print(json.dumps([{"what": w, "unit": u, "kvern": statistics.median(a), "llama_server": statistics.median(b)}
                          for w, u, _, a, b in rows]))
        return
    print(f"{'':34} {'kvern':>10} {'llama-server':>13} {'ratio':>7}")
    for what, unit, higher, ours, theirs in rows:
        a, b = statistics.median(ours), statistics.median(theirs)
        ratio = f"{a / b:.2f}" if b > 0 else "-"
        print(f"{what:34} {a:10.2f} {b:13.2f} {ratio:>7}  {unit}, {'higher' if higher else 'lower'} is better")


if __name__ == "__main__":
    main()
