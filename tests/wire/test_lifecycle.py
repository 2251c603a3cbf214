"""Starting, draining and ending; where it listens; what it says when it cannot start."""

import os
import signal
import socket
import stat
import threading
import time

import httpx
import openai
import pytest

from server import Server, chat_body, joined, read_chunks, run_kvern

LONG = "word " * 8  # two seconds at 20 tokens a second


class Listener(threading.Thread):
    """Reads one stream in the background."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.begun = threading.Event()
        self.lines = []
        self.broken = None
        self.start()
        assert self.begun.wait(5)

    def run(self):
        try:
            body = chat_body("Go", stream=True)
            with self.server.http.stream("POST", "/v1/chat/completions", json=body) as response:
                for line in response.iter_lines():
                    self.lines.append(line)
                    if '"content":"w' in line:
                        self.begun.set()
        except httpx.HTTPError as e:
            self.broken = e

    def text(self):
        self.join(10)
        assert self.broken is None, self.broken
        return joined(read_chunks(self.lines))[0]["message"]["content"]


@pytest.fixture
def slow(kvern, fake):
    with Server(model=fake(LONG, tokens_per_second=20)) as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_answers_end_and_takes_no_new_ones(slow, number):
    listener = Listener(slow)
    slow.signal(number)
    slow.wait_for_log("draining")
    with pytest.raises(httpx.ConnectError):
        slow.client().get("/health")
    assert slow.process.poll() is None
    assert listener.text() == LONG
    assert slow.wait(5) == 0
    assert slow.log("request")[-1]["finish"] == "stop"


def test_a_second_signal_ends_at_once(slow):
    listener = Listener(slow)
    slow.signal()
    slow.wait_for_log("draining")
    begin = time.monotonic()
    slow.signal()
    assert slow.wait(2) == 0
    assert time.monotonic() - begin < 1
    listener.join(5)
    assert listener.broken is not None, "a stream that was cut off looked finished"


def test_a_signal_does_not_wait_for_idle_connections(slow):
    idle = [slow.connect() for _ in range(5)]
    slow.http.get("/health")  # and one that is kept alive
    begin = time.monotonic()
    slow.signal()
    assert slow.wait(5) == 0
    assert time.monotonic() - begin < 1
    for sock in idle:
        sock.close()


def test_serving_on_a_unix_socket(kvern, fake, tmp_path):
    path = tmp_path / "kvern.sock"
    with Server(model=fake("Hello."), unix_socket=path) as server:
        assert server.ready["address"] == f"unix:{path}"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, "only its user may talk to it"
        client = openai.OpenAI(base_url="http://kvern/v1", api_key="none", http_client=server.client())
        answer = client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "Hi"}])
        assert answer.choices[0].message.content == "Hello."
        second = run_kvern("serve", "--model", fake("x"), "--unix-socket", path)
        assert second.returncode == 3 and "--unix-socket" in second.stderr
        assert server.health()["status"] == "ok"
    assert not path.exists()


def test_a_socket_file_of_a_dead_server_is_in_nobodys_way(kvern, fake, tmp_path):
    path = tmp_path / "kvern.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Server(model=fake("Hello."), unix_socket=path) as server:
        assert server.health()["status"] == "ok"


# Something else than a socket may be precious.
def test_a_file_where_the_socket_should_be_is_kept(kvern, fake, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    run = run_kvern("serve", "--model", fake("x"), "--unix-socket", path)
    assert run.returncode == 3 and str(path) in run.stderr
    assert path.read_text() == "precious"


def cannot_start(*flags, code, words, **extra):
    run = run_kvern("serve", *flags, **extra)
    assert run.returncode == code, run.stderr
    assert run.stdout == ""
    lines = [line for line in run.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: "), run.stderr
    for word in words:
        assert word in run.stderr, run.stderr


def test_a_port_in_use(kvern, fake):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        cannot_start("--model", fake("x"), "--port", port, code=3, words=["--port", port])


def test_a_model_that_is_not_there(kvern, tmp_path):
    cannot_start("--model", tmp_path / "none.gguf", code=3, words=["--model", "none.gguf"])
    cannot_start("--model", "fake:nowhere.json", code=3, words=["--model", "nowhere.json"])


def test_a_model_that_is_no_gguf(kvern, tmp_path):
    text = tmp_path / "model.gguf"
    text.write_text("This is no model at all. " * 100)
    cannot_start("--model", text, code=2, words=["--model", "GGUF"])
    text.write_text("")
    cannot_start("--model", text, code=3, words=["--model", "empty"])


def test_a_folder_instead_of_a_model(kvern, tmp_path):
    cannot_start("--model", tmp_path, code=3, words=["--model", str(tmp_path)])
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    cannot_start("--model", tmp_path, code=2, words=["--model", "a.gguf"])


def a_model():
    path = os.path.expanduser("~/.cache/kvern/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    if not os.path.exists(path):
        pytest.skip(f"there is no {path} to cut")
    return path


# Cut in the header, in the middle, and so late that only the loader can know.
@pytest.mark.parametrize("kept", [4, 100, 20_000, 0.5, 0.999])
def test_a_model_that_is_cut_short(kvern, tmp_path, kept):
    path = a_model()
    size = os.path.getsize(path)
    cut = tmp_path / "cut.gguf"
    with open(path, "rb") as source:
        cut.write_bytes(source.read(kept if isinstance(kept, int) else int(size * kept)))
    run = run_kvern("serve", "--port", "0", "--model", cut)
    assert run.returncode in (1, 3), run.stderr
    assert "--model" in run.stderr and "cut.gguf" in run.stderr
    assert len([line for line in run.stderr.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.parametrize("script, words", [
    ("{", ["malformed"]),
    ('{"rules": []}', []),
    ('{"rules": [{"say": 5}]}', ["rules[0].say"]),
    ('{"rules": [{"when": "(", "say": "x"}]}', ["rules[0].when"]),
    ('{"rules": [{"say": "x"}], "dialect": "klingon"}', ["klingon", "hermes"]),
    ('{"ruels": []}', ["ruels"]),
])
def test_a_script_that_is_wrong(kvern, tmp_path, script, words):
    path = tmp_path / "script.json"
    path.write_text(script)
    if not words:  # silence is allowed
        with Server(model=f"fake:{path}") as server:
            assert server.chat("Hi")["choices"][0]["message"]["content"] == ""
        return
    cannot_start("--port", "0", "--model", f"fake:{path}", code=2, words=words)


@pytest.mark.parametrize("flags, words", [
    (["--prot", "80"], ["--prot", "--port"]),
    (["--frobnicate"], ["--frobnicate", "--help"]),
    (["model.gguf"], ["model.gguf"]),
    (["--port"], ["--port"]),
    (["--port", "abc"], ["--port", "abc"]),
    (["--port", "99999"], ["--port", "99999"]),
    (["--context", "many"], ["--context", "many"]),
    (["--parallel", "0"], ["--parallel"]),
    (["--cache-ram", "lots"], ["--cache-ram", "lots"]),
    (["--kv-type", "f8"], ["--kv-type", "f8"]),
    (["--log-level", "loud"], ["--log-level", "loud"]),
    (["--log-format", "xml"], ["--log-format", "xml"]),
    (["--config", "/nowhere.toml"], ["--config", "/nowhere.toml"]),
    (["--host", "0.0.0.0"], ["--host", "--api-key"]),
    (["--dialect", "klingon"], ["--dialect", "klingon", "hermes"]),
    (["--chat-template", "/nowhere.jinja"], ["--chat-template", "/nowhere.jinja"]),
])
def test_a_flag_that_is_wrong(kvern, fake, flags, words):
    cannot_start("--model", fake("x"), *flags, code=2, words=words)


def test_a_host_that_is_not_here(kvern, fake):
    cannot_start("--model", fake("x"), "--host", "192.0.2.1", "--no-auth", "--port", "0", code=3, words=["--host"])


@pytest.mark.parametrize("text, words", [
    ('prot = 8080\n', [":1", "prot", "port"]),
    ('port = 0\ncontext = "many"\n', [":2", "many"]),
    ('port = \n', [":1", "TOML"]),
    ('[server]\nport = 1\n', ["server"]),
])
def test_a_config_file_that_is_wrong(kvern, fake, tmp_path, text, words):
    path = tmp_path / "kvern.toml"
    path.write_text(text)
    cannot_start("--model", fake("x"), "--config", path, code=2, words=[str(path), *words])


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(kvern, fake, tmp_path):
    path = tmp_path / "kvern.toml"
    path.write_text(f'model = "{fake("Hello.")}"\nname = "from-file"\ncontext = "1k"\nparallel = 2\n')
    with Server("--config", path, "--context", "3k", KVERN_NAME="from-variable", KVERN_CONTEXT="2k") as server:
        assert server.ready["context"] == 3072
        assert server.ready["model"] == "from-variable"
        assert server.ready["parallel"] == 2


def test_a_chat_template_that_is_wrong(kvern, fake, tmp_path):
    path = tmp_path / "template.jinja"
    path.write_text("{% for m in messages %}")
    cannot_start("--model", fake("x"), "--port", "0", "--chat-template", path, code=2, words=["--chat-template"])


def test_the_text_log_has_one_line_a_request(kvern, fake):
    with Server(model=fake("Hello."), log_format="text") as server:
        server.chat("Hi")
        [request] = server.wait_for_log("request")
    assert (request["why"], request["finish"], request["reused"]) == ("cold", "stop", "0")
    assert request["prompt"] == request["computed"] and float(request["ttft_ms"]) > 0 and "tok_s" in request
