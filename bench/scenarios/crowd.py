"""Many conversations taking turns on few sequences, with little memory besides."""

import statistics

from scenarios.talk import Size, Talk

CONVERSATIONS = 40
SEQUENCES = 8
RAM_MIB = 32
ROUNDS = 3


def measure(subject, conversations=CONVERSATIONS, rounds=ROUNDS):
    """Totals over all rounds but the first, in which nobody has anything to reuse but the heads."""
    talk = Talk(subject, Size(head_words=150, turn_words=60, answer_tokens=8))
    chats = [talk.opening(number=i, seed=i % 4) for i in range(conversations)]
    for round_ in range(rounds):
        chats = [talk.turns(chat, 1, "turn" if round_ else "") for chat in chats]
    rows = [row for row in talk.rows if row.step]
    return {"prompt": sum(row.prompt for row in rows), "reused": sum(row.reused for row in rows),
            "wasted": sum(row.wasted for row in rows), "ttft_ms": statistics.median(row.ttft_ms for row in rows),
            "ttft_p99_ms": sorted(row.ttft_ms for row in rows)[int(0.99 * (len(rows) - 1))]}
