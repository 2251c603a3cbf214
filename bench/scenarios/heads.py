"""Time to the first token of a request with a long head: cold, warm, and after the server ended."""

import statistics

from scenarios.talk import Size, Talk
from scenarios.text import head_of_tokens

SIZES = (2000, 8000, 18000)
WARM_ROUNDS = 5


def measure(subject, tokens):
    """{case: milliseconds} with a head of so many tokens. repeat, restart and kill -9 ask again what was asked
    first; turn asks something new after the same head, and alone is that question's tokens without any head."""
    talk = Talk(subject, Size(turn_words=20, answer_tokens=1))
    text = head_of_tokens(tokens, lambda text: talk.tokenize(text), seed=tokens)
    asked = iter(range(1000))

    def ttft(number=0, head=text):
        system = [{"role": "system", "content": head}] if head else []
        talk.ask([*system, talk.user(number, seed=tokens)])
        return talk.rows[-1].ttft_ms

    def median(measure_one):
        return statistics.median(measure_one() for _ in range(WARM_ROUNDS))

    result = {"head": len(talk.tokenize(text)), "cold": ttft(next(asked))}
    result["repeat"] = median(ttft)
    result["turn"] = median(lambda: ttft(next(asked)))
    result["alone"] = median(lambda: ttft(next(asked), head=""))
    if subject.is_kvern:
        talk.settle()
    subject.stop()
    subject.start()
    result["restart"] = ttft()
    if subject.is_kvern:  # who keeps nothing starts cold after any end
        talk.settle()
        subject.kill()
        subject.start()
        result["kill -9"] = ttft()
    else:
        result["kill -9"] = result["restart"]
    return result
