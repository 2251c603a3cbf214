"""Conversations with the fake engine whose every answer is known.

The fake model says what its script says to the last question. Whether the rows under it belong to
this very prompt the engine checks itself: a request that reused wrong ones fails.
"""

import random
import threading
import time

import httpx

RULE = {"when": "question (\\d+)", "say": "The answer to {{1}} is on the table by the window, where it was yesterday."}
LIMITS = {"context": 4096, "cells": 8192}
PREFILL_TOKENS_S = 50_000  # of the servers with a cache: one that computes in no time has nothing to gain from a disk
WORDS = "river stone lantern cloud market window garden silver engine paper mountain signal bridge forest".split()
TURNS_MAX = 8  # of about 300 tokens each
LANES = 3      # requests at once


class WrongAnswer(Exception):
    pass


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def expect_text(answer, text):
    if text_of(answer) != text:
        raise WrongAnswer(f"{text_of(answer)!r} instead of {text!r}")


class Conversation:
    def __init__(self, number, family):
        self.number = number
        self.dice = random.Random(number)
        head = random.Random(f"{family} {number % 3}")  # every third conversation of a family shares its head
        self.messages = [{"role": "system", "content": " ".join(head.choice(WORDS) for _ in range(80))}]
        self.asked = None  # the messages of the last request that was answered, and its text
        self.answered = None
        self.turns = 0

    def ask(self, server):
        """One more turn; nothing has changed when the server dies under it."""
        words = " ".join(self.dice.choice(WORDS) for _ in range(self.dice.randrange(5, 60)))
        asked = self.messages + [{"role": "user", "content": f"{words}: question {self.number * 100 + self.turns}"}]
        answer = server.chat(asked)
        self.asked, self.answered = asked, text_of(answer)
        self.messages = asked + [{"role": "assistant", "content": self.answered}]
        self.turns += 1
        return answer

    def repeat(self, server):
        """The last request again: answered as before, whatever happened to the server."""
        answer = server.chat(self.asked)
        expect_text(answer, self.answered)
        return answer

    def check(self, truth):
        """truth: a server without a cache."""
        expect_text(truth.chat(self.asked), self.answered)


class Crowd:
    """A growing set of conversations. Each belongs to one lane, so its turns come one after another."""

    def __init__(self, seed, conversations_max=30, family="one"):
        self.family = family
        self.dice = random.Random(seed)
        self.lanes = [[] for _ in range(LANES)]
        self.lane_max = conversations_max // LANES
        self.born = 0
        self.requests = 0

    def conversations(self):
        return [conversation for lane in self.lanes for conversation in lane]

    def grow(self, server, truth, count, turns=3):
        """So many new conversations, one turn of each after the other."""
        new = [self._new(number % LANES) for number in range(count)]
        for _ in range(turns):
            for conversation in new:
                conversation.ask(server)
                conversation.check(truth)
        return new

    def start(self, server, truth):
        """Talks in the background until the Talk it gives is stopped."""
        return Talk([(lane, random.Random(self.dice.random())) for lane in range(LANES)], self, server, truth)

    def talk(self, server, truth, seconds):
        talk = self.start(server, truth)
        time.sleep(seconds)
        talk.stop()

    def step(self, lane, dice, server, truth):
        """One request: a new conversation, a known one's next turn, or its last request again."""
        mine = self.lanes[lane]
        choice = dice.random()
        if len(mine) < 2 or choice < 0.2:
            conversation = self._new(lane)
        else:
            conversation = dice.choice(mine)
        if conversation.asked and (choice > 0.7 or conversation.turns >= TURNS_MAX):
            conversation.repeat(server)
        else:
            conversation.ask(server)
        self.requests += 1
        conversation.check(truth)

    def _new(self, lane):
        """In the place of the lane's oldest when there are enough."""
        self.born += 1
        conversation = Conversation(self.born, self.family)
        if len(self.lanes[lane]) >= self.lane_max:
            self.lanes[lane].pop(0)
        self.lanes[lane].append(conversation)
        return conversation


class Talk:
    def __init__(self, lanes, crowd, server, truth):
        self.over = threading.Event()
        self.failures = []
        self.dying = False
        self.crowd, self.server, self.truth = crowd, server, truth
        self.threads = [threading.Thread(target=self._run, args=lane, daemon=True) for lane in lanes]
        for thread in self.threads:
            thread.start()

    def _run(self, lane, dice):
        try:
            while not self.over.is_set():
                self.crowd.step(lane, dice, self.server, self.truth)
        except WrongAnswer as e:
            self.failures.append(str(e))
        except (httpx.TransportError, AssertionError) as e:  # told by stop()
            if not self.dying:
                self.failures.append(repr(e))

    def expect_death(self):
        """The server is about to be killed: only wrong answers count from now on."""
        self.dying = True
        self.over.set()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a request hangs"
        assert not self.failures, self.failures[0]
