"""The cost model against this machine: what scale_model projects beside what the same agents see on a real server.

The server is measured first (one stream, a prompt of 512 tokens), and these two speeds are all the model is told
about the machine; model figures come from the GGUF's facts below. Then the agents of `scale_model --traffic` talk to
the server with exactly these token counts, and both say what they waited.

  ./dev bench scale-check [--model FILE.gguf] [--threads N] [--json] [--agents N] [--turns N] [--seed N]
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from load import percentile
from servers import ROOT, Server

# SmolLM2 135M: 30 layers, 9 heads and 3 KV heads of 64; two control tokens may end a turn.
FACTS = ["--params-b", "0.135", "--kv-bytes", str(2 * 2 * 30 * 3 * 64), "--attention-flops", str(4 * 30 * 9 * 64),
         "--experts-drawn", "1", "--device-gb", "2", "--attends-all", "0"]
NEVER_ENDS = [[0, False], [2, False]]
WORDS = range(1000, 40000)  # tokens that are plain text
SHAPE = {"context": 8192, "sub-agents": 0, "head": 500, "own": 60, "new-p50": 60, "new-p90": 200, "answer-p50": 16,
         "think-s": 1.5}


class Talk:
    """A conversation in tokens with llama-server's own /completion, which takes and gives them."""

    def __init__(self, server):
        self.server = server

    def ask(self, tokens, answer_tokens):
        """(seconds to the first token, tokens a second after it, the answer's tokens, the server's timings)"""
        body = {"prompt": tokens, "n_predict": answer_tokens, "temperature": 0, "logit_bias": NEVER_ENDS,
                "return_tokens": True}
        times, events = self.server.stream("/completion", body)
        answer = [token for event in events for token in event.get("tokens", [])]
        said = [at for at, event in zip(times, events) if event.get("tokens")]
        if len(answer) < answer_tokens:
            raise SystemExit(f"{answer_tokens} tokens were asked for, {len(answer)} came")
        rate = (len(said) - 1) / (said[-1] - said[0]) if len(said) > 1 else 0
        return said[0], rate, answer, events[-1]


def words(rng, count):
    return rng.choices(WORDS, k=count)


def measure_speeds(server):
    """Tokens a second of one stream, and of a prompt of 512 tokens: medians of three."""
    rng = random.Random(0)
    talk = Talk(server)
    decode, prefill = [], []
    for _ in range(3):
        _, rate, _, _ = talk.ask(words(rng, 32), 60)
        decode.append(rate)
        first_s, _, _, _ = talk.ask(words(rng, 512), 1)
        prefill.append(512 / first_s)
    return statistics.median(decode), statistics.median(prefill)


class Agent(threading.Thread):
    def __init__(self, server, number, requests, heads):
        super().__init__(daemon=True)
        self.talk, self.requests, self.rng = Talk(server), requests, random.Random(1000 + number)
        self.head, self.rows, self.error = heads[number % 3 == 2], [], None

    def run(self):
        try:
            self.work()
        except (SystemExit, OSError) as e:
            self.error = e

    def work(self):
        said = []
        for kept, fresh, answer_tokens, think_us in self.requests:
            time.sleep(think_us / 1e6)
            # A conversation begins with what its program's agents share.
            shared = self.head[len(said[:kept]):]
            said = said[:kept] + shared[:fresh]
            said += words(self.rng, fresh - min(fresh, len(shared)))
            first_s, rate, answer, last = self.talk.ask(said, answer_tokens)
            timings = last.get("timings", {})
            self.rows.append({"ttft_s": first_s, "rate": rate, "prompt": len(said),
                              "computed": timings.get("prompt_n", len(said))})
            said += answer


def replay(server, traffic, head_tokens):
    heads = [words(random.Random(seed), head_tokens) for seed in (1, 2)]
    agents = [Agent(server, i, agent["requests"], heads) for i, agent in enumerate(traffic)]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()
        if agent.error:
            raise SystemExit(f"an agent failed: {agent.error}")
    rows = [row for agent in agents for row in agent.rows]
    ttfts = [row["ttft_s"] for row in rows]
    return {"requests": len(rows), "ttft_p50_s": statistics.median(ttfts), "ttft_p95_s": percentile(ttfts, 0.95),
            "stream_tokens_s": statistics.median(row["rate"] for row in rows if row["rate"]),
            "computed_share": sum(row["computed"] for row in rows) / sum(row["prompt"] for row in rows)}


def scale_model(*arguments):
    binary = os.environ.get("SCALE_MODEL_BIN", str(ROOT / "build/dev/bench/scale_model"))
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def start(options, folder, flags):
    kvern = os.environ.get("KVERN_BIN", str(ROOT / "build/dev/kvern"))
    return Server("kvern", [kvern, "serve", "--model", options.model, "--port", "{port}", "--context", str(SHAPE["context"]),
                            "--threads", str(options.threads), "--cache-dir", f"{folder}/cache", "--cache-ram", "1G",
                            "--log-format", "json", *flags], Path(folder) / "log")


def with_server(options, flags, work):
    """What work(server) returns, of a server that knows nothing yet."""
    with tempfile.TemporaryDirectory() as folder:
        server = start(options, folder, flags)
        try:
            return work(server)
        finally:
            server.stop()


def check(options):
    """One row after the other, as soon as it is there; the measured speeds are part of each."""
    shape = SHAPE | {"agents": options.agents, "turns": options.turns, "seed": options.seed}
    flags = [word for name, value in shape.items() for word in (f"--{name}", str(value))]
    traffic = scale_model("--traffic", *flags)
    weights_gb = Path(options.model).stat().st_size / 1e9
    decode, prefill = with_server(options, [], measure_speeds)
    projected = scale_model("--json", "--only", "CPU", *FACTS, "--weights-gb", weights_gb, "--active-gb", weights_gb,
                            "--ram-cache-gb", 1, "--decode-tps", decode, "--prefill-tps", prefill, *flags)
    for mode, extra in (("kvern", []), ("no reuse", ["--no-cache"])):
        seen = with_server(options, extra, lambda server: replay(server, traffic, shape["head"]))
        for who, row in (("projected", next(row for row in projected if row["mode"] == mode)), ("seen", seen)):
            yield {"mode": mode, "who": who, "decode_tokens_s": decode, "prefill_tokens_s": prefill,
                   **{name: row[name] for name in seen}}


def print_row(row, first):
    if first:
        print(f"Measured: a stream decodes {row['decode_tokens_s']:.1f} tokens/s, a prompt of 512 tokens is computed at "
              f"{row['prefill_tokens_s']:.0f} tokens/s.\n")
        print("| reuse | | requests | TTFT p50 s | TTFT p95 s | tokens/s a stream | computed |")
        print("|---|---|--:|--:|--:|--:|--:|")
    print(f"| {row['mode']} | {row['who']} | {row['requests']} | {row['ttft_p50_s']:.3f} | {row['ttft_p95_s']:.3f} | "
          f"{row['stream_tokens_s']:.1f} | {100 * row['computed_share']:.1f} % |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kvern/models"
    parser.add_argument("--model", default=str(models / "SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--agents", type=int, default=3)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for number, row in enumerate(check(options)):
        if options.json:
            print(json.dumps(row), flush=True)
        else:
            print_row(row, number == 0)


if __name__ == "__main__":
    sys.exit(main())
