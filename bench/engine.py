"""What the engine does: decode, prefill and a request's overhead, kvern beside llama-server on the same model.

Both servers run at once and are asked in turn; figures are medians, and the ratio of them is what the table is for:
absolute times belong to this machine. A row is kept as soon as it is measured; a run that was interrupted goes on
where it stopped.

  ./dev bench [engine] [--model FILE.gguf] [--rounds N] [--only decode,prefill,warm,overhead] [--fresh] [--json]
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from results import Results, in_turn, results_name, show
from scenarios.subject import KVERN, LLAMA
from servers import ROOT, SMALL, Server, start_pair

KINDS = ("decode", "prefill", "warm", "overhead")
STREAMS = (4, 8)  # besides a lone one
TOGETHER_TOKENS = 256  # of each of them: the first must not end before the last begins
PREFILL_TOKENS = 6000  # of all prompts that come at once
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


def at_once(count: int, call):
    """What that many threads return that begin together."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def decode_rate_of_many(server: Server, round_: int, count: int) -> float:
    """Tokens a second of all streams together, while all of them run."""

    def one(number):
        seed = 1000 * count + 100 * round_ + number
        body = {"model": "default", "prompt": f"{seed} " + prose(64, seed), "max_tokens": TOGETHER_TOKENS, "temperature": 0,
                "logit_bias": {"2": -100, "0": -100}}
        begin = time.perf_counter()
        times, events = server.stream("/v1/completions", body)
        return [begin + t for t, e in zip(times, events) if e.get("choices") and e["choices"][0].get("text")]

    streams = at_once(count, one)
    start, end = max(ticks[0] for ticks in streams), min(ticks[-1] for ticks in streams)
    together = sum(start < tick <= end for ticks in streams for tick in ticks)
    if together < 10 * count:
        raise SystemExit(f"{server.name}: {count} streams were not decoded together")
    return together / (end - start)


def prefill_rate_of_many(server: Server, round_: int, count: int) -> float:
    """Prompt tokens a second of prompts that come at once and share nothing, until the last has its first token."""

    def one(number):
        seed = 50_000 + 1000 * count + 100 * round_ + number
        body = {"model": "default", "prompt": f"{seed} " + prose(PREFILL_TOKENS // count, seed), "max_tokens": 1, "temperature": 0}
        begin = time.perf_counter()
        times, events = server.stream("/v1/completions", body)
        usage = events[-1]["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        return begin, begin + next(t for t, e in zip(times, events) if e.get("choices")), usage["prompt_tokens"] - cached

    answers = at_once(count, one)
    return sum(tokens for _, _, tokens in answers) / (max(end for _, end, _ in answers) - min(begin for begin, _, _ in answers))


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


def warmed_overhead(server: Server, round_: int, count: int) -> float:
    if round_ == 0:
        overhead(server, count)
    return overhead(server, count)


def rows(kinds, streams: int, rounds: int):
    """(what, unit, which is better, function of a server and a round, rounds) of a pair that decodes so many streams."""
    few = max(3, rounds // 2) if rounds > 1 else 1
    if streams == 4 and "decode" in kinds:
        yield "decode", "tok/s", "higher", decode_rate, rounds
    if streams == 4 and "prefill" in kinds:
        yield "prefill, 2.5k tokens", "tok/s", "higher", prefill_rate, few
    if "decode" in kinds:
        yield f"decode, {streams} streams", "tok/s", "higher", lambda s, r: decode_rate_of_many(s, r, streams), few
    if "prefill" in kinds:
        yield (f"prefill, {streams} prompts of {PREFILL_TOKENS // streams}", "tok/s", "higher",
               lambda s, r: prefill_rate_of_many(s, r, streams), few)
    if streams == 4 and "warm" in kinds:
        yield "warm second turn, first token", "ms", "lower", warm_ttft, few
    for count in (0, 20, 60) if streams == 4 and "overhead" in kinds else ():
        yield f"request overhead, {count} warm tools", "ms", "lower", lambda s, r, c=count: warmed_overhead(s, r, c), rounds


def measure_pair(args, results: Results, streams: int):
    """Servers are only started for what is not there yet."""
    missing = [(("engine", what, unit, better), function, rounds)
               for what, unit, better, function, rounds in rows(args.only, streams, args.rounds)
               if ("engine", what, unit, better) not in results.values]
    if not missing:
        return
    pair = start_pair(args.model, args.threads, args.context, Path(tempfile.gettempdir()) / "kvern-bench", parallel=streams)
    try:
        for key, function, rounds in missing:
            results.get(key, lambda f=function, n=rounds: in_turn(pair, n, f))
    finally:
        for server in pair:
            server.stop()


def render(values) -> str:
    lines = [f"{'':34} {'kvern':>10} {'llama-server':>13} {'ratio':>7}"]
    for (_, what, unit, better), value in values.items():
        if "failed" in value:
            lines.append(f"{what:34} failed: {value['failed']}")
            continue
        a, b = (statistics.median(value[name]) for name in ("kvern", "llama-server"))
        lines.append(f"{what:34} {a:10.2f} {b:13.2f} {f'{a / b:.2f}' if b > 0 else '-':>7}  {unit}, {better} is better")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL") or str(SMALL))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(KINDS), help=",".join(KINDS))
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.only) - set(KINDS):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if args.rounds < 1:
        parser.error("--rounds from 1")
    for file, how in ((KVERN, "./dev build"), (LLAMA, "./dev bench builds it"), (args.model, "./dev run once fetches it")):
        if not Path(file).exists():
            raise SystemExit(f"{file} is missing; {how}")

    name = results_name([args.threads, args.context, args.rounds], [KVERN, LLAMA, args.model])
    about = {"model": Path(args.model).name, "threads": args.threads, "context": args.context, "rounds": args.rounds}
    results = Results(ROOT / f"build/bench-engine/{name}.jsonl", args.fresh, about)
    for streams in STREAMS:
        measure_pair(args, results, streams)
    show(results, args.json, render)


if __name__ == "__main__":
    main()
