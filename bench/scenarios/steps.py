"""What a running stream feels while the cache moves at least 100 MB: the times between its tokens.

kvern only. "saved": blocks of a prompt just computed go to RAM and disk while the stream runs.
"restored": the same blocks come back from disk, after a restart, for another request.
"""

import threading
import time

from scenarios.talk import Size, Talk
from scenarios.text import head_of_tokens

MOVED_MB = 100
STREAM_TOKENS = 300
STORY = [{"role": "user", "content": "Tell me a very long story about a river, and do not stop."}]


def spread(gaps):
    ordered = sorted(gaps)
    at = lambda part: ordered[int(part * (len(ordered) - 1))]
    return {"steps": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": ordered[-1]}


def bytes_on_disk(subject):
    return sum(path.stat().st_size for path in subject.folder.rglob("*") if path.is_file())


def stream(subject, tokens, meanwhile=None):
    """The gaps of one stream; meanwhile() runs beside it. Only the gaps until it ended count."""
    body = {"model": "default", "messages": STORY, "temperature": 0, "max_tokens": tokens, "ignore_eos": True,
            "stream_options": {"include_usage": True}}
    done = [float("inf")]

    def work():
        time.sleep(0.2)
        meanwhile()
        done[0] = time.perf_counter()

    beside = threading.Thread(target=work) if meanwhile else None
    if beside:
        beside.start()
    gaps = subject.gaps_ms(body)
    if beside:
        beside.join()
    return [gap for at, gap in gaps if at - gap / 1000 < done[0]]


def measure(subject, moved_mb=MOVED_MB, tokens=STREAM_TOKENS):
    """The head is long enough that its blocks are as many bytes as shall move."""
    talk = Talk(subject, Size(turn_words=20, answer_tokens=1))
    talk.ask(STORY)
    before = bytes_on_disk(subject)
    probe = head_of_tokens(1000, talk.tokenize, seed=1)
    talk.ask([{"role": "system", "content": probe}, talk.user(1)])
    talk.settle(6)
    per_token = (bytes_on_disk(subject) - before) / talk.rows[-1].computed
    assert per_token >= 1, "nothing was written to disk"
    wanted = int(moved_mb * 1e6 / per_token) + 300

    # More than one conversation where one cannot be so long.
    parts = -(-wanted // (subject.options.context - 200))
    heads = [head_of_tokens(wanted // parts, talk.tokenize, seed=10 + i) for i in range(parts)]
    chats = [[{"role": "system", "content": text}, talk.user(2)] for text in heads]

    result = {"undisturbed": spread(stream(subject, tokens))}
    on_disk = bytes_on_disk(subject)
    for chat in chats:
        talk.ask(chat)
    result["saved"] = spread(stream(subject, 2 * tokens))
    talk.settle(6)
    result["saved_mb"] = (bytes_on_disk(subject) - on_disk) / 1e6
    subject.stop()
    subject.start()
    talk.ask(STORY)
    reused = []

    def restore():
        for chat in chats:
            talk.ask([chat[0], talk.user(3)])
            reused.append(talk.rows[-1].reused)

    result["restored"] = spread(stream(subject, 2 * tokens, restore))
    result["restored_mb"] = sum(reused) * per_token / 1e6
    return result
