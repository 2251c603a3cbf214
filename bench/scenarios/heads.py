"""Time to the first token of a request with a long head: cold, warm, and after the server ended."""

import statistics

from scenarios.talk import Size, Talk
from scenarios.text import head_of_tokens

SIZES = (2000, 8000, 18000)
WARM_ROUNDS = 5


def measure(subject, tokens):
    """{case: milliseconds} of a new user's turn after a head of so many tokens."""
    talk = Talk(subject, Size(turn_words=20, answer_tokens=1))
    text = head_of_tokens(tokens, lambda text: talk.tokenize(text), seed=tokens)
    asked = iter(range(1000))

    def ttft():
        talk.ask([{"role": "system", "content": text}, talk.user(next(asked), seed=tokens)])
        return talk.rows[-1].ttft_ms

    result = {"head": len(talk.tokenize(text)), "cold": ttft()}
    result["warm"] = statistics.median(ttft() for _ in range(WARM_ROUNDS))
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
