"""Talks to a server as an agent does, and keeps the account.

A subject is whatever runs the server:
  name, is_kvern, sequences  what it is; how many conversations it decodes at once
  post(path, body)           the JSON of an answer
  complete(body)             an Answer
  start(), stop(), kill()    lives on one folder; second() is another one on the same folder, or None
  folder                     the cache directory; None for a server that has none
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scenarios.account import Account, Row, common
from scenarios.text import TOOLS, head, words


class Skip(Exception):
    """This scenario says nothing about this model or server, and why."""


@dataclass
class Size:
    head_words: int = 150
    turn_words: int = 30
    answer_tokens: int = 16


@dataclass
class Answer:
    message: dict
    finish: str
    prompt: int
    cached: int
    ttft_ms: float
    why: str = ""
    raw: dict | None = None


CALL_TOKENS = 200
CALL_TRIES = 8


class Talk:
    def __init__(self, subject, size=Size(), account=None, boundaries=False):
        self.subject = subject
        self.size = size
        self.account = account or Account()
        self.boundaries = boundaries  # also find where messages end: for models whose state cannot be cut
        self.rows = []
        self.on_answer = None  # called with (step, the body in the form the server knows, Answer)

    # What is said.

    def opening(self, number=0, seed=0):
        return [{"role": "system", "content": head(self.size.head_words, seed)}, self.user(number)]

    def user(self, number, seed=0):
        text = words(self.size.turn_words, 1000 * seed + number)
        return {"role": "user", "content": f"{text}\nTask {number}: name the capital of France, then say what you saw above."}

    # Saying it.

    def ask(self, messages, step="", means=None, excused=False, **fields):
        """One request; gives the assistant's message. means: the messages in the form in which the
        server knows them, when they are sent in another one that says the same."""
        body = self._body(messages, fields)
        known = self._body(means or messages, fields)
        prompt = self.tokens(known)
        answer = self.subject.complete(body)
        self.rows.append(self._row(step, prompt, known, answer, excused))
        self._remember(known, prompt, answer)
        if self.on_answer:
            self.on_answer(step, known, answer)
        return answer.message

    def _row(self, step, prompt, body, answer, excused):
        computed = answer.prompt - answer.cached
        wasted = max(0, computed - self.account.needed(prompt))
        to_boundary = self.account.to_boundary(prompt, self._ends(body, prompt)) if self.boundaries else 0
        return Row(step, answer.prompt, answer.cached, computed, wasted, to_boundary, answer.ttft_ms, answer.why, excused)

    def at_once(self, chats, step):
        """All at the same time, as one row: each part that two of them share has to be computed once."""
        bodies = [self._body(messages, {}) for messages in chats]
        prompts = [self.tokens(body) for body in bodies]
        with ThreadPoolExecutor(len(bodies)) as pool:
            answers = list(pool.map(self.subject.complete, bodies))
        needed, to_boundary = 0, 0
        for body, prompt, answer in zip(bodies, prompts, answers):
            needed += self.account.needed(prompt)
            to_boundary += self.account.to_boundary(prompt, self._ends(body, prompt)) if self.boundaries else 0
            self._remember(body, prompt, answer)
        sent, cached = sum(a.prompt for a in answers), sum(a.cached for a in answers)
        # Whoever waits for another's head computes one token for its own logits beyond it.
        wasted = max(0, sent - cached - needed - len(bodies))
        self.rows.append(Row(step, sent, cached, sent - cached, wasted, to_boundary, max(a.ttft_ms for a in answers)))

    def turns(self, messages, count, step=""):
        """The messages after so many more questions and answers."""
        for _ in range(count):
            number = len(messages)
            messages = messages if messages[-1]["role"] == "user" else messages + [self.user(number)]
            messages = messages + [self.ask(messages, step)]
        return messages

    def call(self, messages, count=1):
        """An assistant's message with at least so many finished calls, as the model wrote them."""
        wish = {"tools": TOOLS, "tool_choice": "required", "max_tokens": CALL_TOKENS}
        if count == 1:
            wish["parallel_tool_calls"] = False
        for seed in range(CALL_TRIES):
            chance = {"temperature": 1.0, "seed": seed} if count > 1 or seed > 0 else {}
            message = self.ask(messages, **wish, **chance)
            calls = message.get("tool_calls") or []
            if self.finish == "tool_calls" and len(calls) >= count:
                return message
        raise Skip(f"the model made no {count} finished calls in {CALL_TRIES} tries")

    def results(self, message):
        return [{"role": "tool", "tool_call_id": call["id"], "content": words(self.size.turn_words, 77 + i)}
                for i, call in enumerate(message["tool_calls"])]

    def settle(self, seconds=5.0):
        """Until what is idle has been written."""
        time.sleep(seconds)

    # The account.

    def tokens(self, body):
        return self.tokenize(self._render(body))

    def _body(self, messages, fields):
        return {"model": "default", "messages": messages, "temperature": 0, "max_tokens": self.size.answer_tokens} | fields

    def _render(self, body):
        sent = {key: body[key] for key in ("messages", "tools", "tool_choice", "parallel_tool_calls") if key in body}
        return self.subject.post("/apply-template", sent)["prompt"]

    def tokenize(self, text):
        tokens = self.subject.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
        return [token["id"] if isinstance(token, dict) else token for token in tokens]

    def _ends(self, body, prompt):
        # Before each turn was generated; where it ended the account knows.
        asked = (i for i in range(1, len(body["messages"])) if body["messages"][i - 1]["role"] != "assistant")
        return [common(self.tokens(body | {"messages": body["messages"][:i]}), prompt) for i in asked]

    def _remember(self, body, prompt, answer):
        self.finish = answer.finish
        self.account.remember(prompt)
        if answer.finish == "length" and answer.message.get("tool_calls"):
            return  # cut inside a call: no client sends it back
        turn = self._turn_text(body, answer.message)
        tokens = self.tokenize(turn)
        # A turn that ends without an end token (cut, or a grammar is through) has one token nobody computed.
        self.account.remember(tokens[:-1] if answer.finish in ("length", "tool_calls") else tokens)

    def _turn_text(self, body, message):
        """The prompt and the turn that answered it: a conversation that goes on, less all that two
        different turns would be followed by alike."""
        after = {"role": "user", "content": "?"}
        this, other = (self._render(body | {"messages": [*body["messages"], turn, after]})
                       for turn in (message, {"role": "assistant", "content": "~~"}))
        alike = 0
        while alike < min(len(this), len(other)) and this[-1 - alike] == other[-1 - alike]:
            alike += 1
        return this[:len(this) - alike]
