"""Eight clients that ask, stream, call and leave as they like, for twenty seconds; then nothing is left of them."""

import random
import threading
import time

import httpx
import pytest

from schemas import REQUESTS, TOOLS
from server import chat_body, joined, wait_until

pytestmark = pytest.mark.model

SECONDS = 20


class Client(threading.Thread):
    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server = server
        self.dice = random.Random(number)
        self.messages = [{"role": "system", "content": f"You are assistant {number % 3}."}]
        self.http = server.client()
        self.finished = 0
        self.left = 0
        self.error = None
        self.start()

    def run(self):
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                self.dice.choice([self.whole, self.stream, self.leave, self.call])()
        except Exception as e:  # told by the test
            self.error = e

    def body(self, **fields):
        question = self.dice.choice(["Name a colour.", "Count to ten.", "What is a river?", "Tell me a story."])
        messages = [*self.messages, {"role": "user", "content": question}]
        return chat_body(messages, temperature=1.0, seed=self.dice.randrange(1000), **({"max_tokens": self.dice.randrange(1, 24)} | fields))

    def whole(self):
        response = self.http.post("/v1/chat/completions", json=self.body(n=self.dice.choice([1, 1, 2])))
        assert response.status_code == 200, response.text
        self.finished += 1

    def stream(self):
        with self.http.stream("POST", "/v1/chat/completions", json=self.body(stream=True)) as response:
            assert response.status_code == 200
            assert [line for line in response.iter_lines() if line][-1] == "data: [DONE]"
        self.finished += 1

    def leave(self):
        """In prefill, between tokens, or while a whole answer is awaited."""
        body = self.body(stream=self.dice.random() < 0.7, max_tokens=200)
        body["messages"][0] = {"role": "system", "content": f"{self.dice.random()} " * self.dice.randrange(1, 20)}
        with httpx.Client(base_url=self.server.base_url) as client:
            try:
                with client.stream("POST", "/v1/chat/completions", json=body, timeout=self.dice.uniform(0.02, 0.6)) as response:
                    for _ in range(self.dice.randrange(10)):
                        next(response.iter_lines(), None)
            except (httpx.TimeoutException, httpx.StreamError):
                pass
        self.left += 1

    def call(self):
        body = self.body(tools=TOOLS[4:8], tool_choice="required", max_tokens=30)
        assert self.http.post("/v1/chat/completions", json=body).status_code == 200
        self.finished += 1


def test_a_mixed_load_leaves_a_healthy_server(serve_model, remark):
    server = serve_model("--context", "4096")
    before = server.chat("What is the capital of France?", max_tokens=20)
    files = server.open_files()
    clients = [Client(server, i) for i in range(8)]
    for client in clients:
        client.join(SECONDS + 60)
        assert client.error is None, repr(client.error)
        assert not client.is_alive()
        client.http.close()
    server.wait_until_idle(5)
    finished, left = sum(c.finished for c in clients), sum(c.left for c in clients)
    remark(f"mixed load: {finished} answers, {left} clients that left, {len(server.log('request', finish='cancelled'))} cancelled")
    assert finished > 0 and left > 0
    wait_until(lambda: server.open_files() <= files, 2, "all sockets closed")
    after = server.chat("What is the capital of France?", max_tokens=20)
    assert after["choices"][0]["message"]["content"] and before["choices"][0]["message"]["content"]
    [pieces] = joined(server.stream(REQUESTS["get_weather"], tools=TOOLS[4:8], tool_choice="required", max_tokens=50))
    assert pieces["message"]["tool_calls"]
