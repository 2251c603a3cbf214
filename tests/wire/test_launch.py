"""`kvern claude` and the others: what the client gets, what becomes of the server, and that nothing stays."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server import BINARY, environment, run_kvern, wait_until

STUB = Path(__file__).with_name("launch_stub.py")
CLIENTS = ["claude", "codex", "opencode", "qwen", "cline", "anyclaude"]
ODD = ["it's", 'a "b"', "$HOME", "", "two words", "--json", "line\nbreak", "ü☂"]


class Desk:
    """A user's place: a home, a temporary folder, stubs in PATH, and what the last client reported."""

    def __init__(self, root):
        self.root = root
        self.home, self.temp, self.bin, self.project = (root / name for name in ("home", "temp dir", "bin", "project"))
        for folder in (self.home, self.temp, self.bin, self.project):
            folder.mkdir()
        for client in CLIENTS:
            stub = self.bin / client
            stub.write_text(f'#!{sys.executable}\n__file__ = {str(STUB)!r}\nexec(compile(open(__file__).read(), __file__, "exec"))\n')
            stub.chmod(0o755)
        self.report_path = root / "report.json"

    def variables(self, **extra):
        base = {name: value for name, value in environment().items()
                if not name.lower().endswith("proxy") and not name.startswith(("ANTHROPIC", "CLAUDE", "OPENAI"))}
        return base | {"HOME": str(self.home), "TMPDIR": str(self.temp), "PATH": f"{self.bin}:/usr/bin:/bin",
                       "STUB_REPORT": str(self.report_path), "XDG_CACHE_HOME": str(self.root / "cache")} | extra

    def start(self, *words, **extra):
        return subprocess.Popen([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.variables(**extra), cwd=self.project)

    def run(self, *words, stdin="", **extra):
        self.report_path.unlink(missing_ok=True)
        return subprocess.run([BINARY, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60,
                              env=self.variables(**extra), cwd=self.project)

    def report(self):
        return json.loads(self.report_path.read_text())

    def reported(self):
        return wait_until(lambda: self.report_path.exists() and self.report(), 30, "a report")

    def left_over(self):
        return sorted(path.name for path in self.temp.iterdir())


def snapshot(folder):
    return {str(path.relative_to(folder)): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")}


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def env_file(report):
    """The one temporary file a client was given, as JSON."""
    (text,) = report["files"].values()
    return json.loads(text)


@pytest.fixture
def desk(tmp_path, kvern):
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve("--name", "Coder", "--context", "64k", model=fake({"when": "Hi", "say": "Hello, agent."}))


@pytest.fixture(scope="module")
def no_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_pointed_at_the_server_and_gets_its_words_as_they_were(desk, server, client):
    run = desk.run(client, "--server", server.base_url, "--", *ODD, stdin="from a pipe")
    assert (run.returncode, run.stdout) == (0, "on stdout\n"), run.stderr
    report = desk.report()
    assert report["name"] == client and report["argv"][-len(ODD):] == ODD and report["stdin"] == "from a pipe"
    everything = json.dumps([report["argv"], report["env"], report["files"]])
    assert server.base_url in everything and "65536" in everything
    assert set(report["modes"].values()) <= {"0o600"}
    assert f"on Coder at {server.base_url}, context 65536 tokens" in run.stderr
    assert desk.left_over() == []


@pytest.mark.parametrize("client", CLIENTS)
def test_the_status_of_the_client_is_passed_on_and_nothing_at_home_changes(desk, server, client):
    for name, text in {".claude/settings.json": '{"env":{"ANTHROPIC_BASE_URL":"http://elsewhere"}}', ".claude.json": "{}",
                       ".codex/config.toml": 'model = "gpt"\n', ".codex/auth.json": "{}", ".qwen/settings.json": "{}",
                       ".config/opencode/opencode.json": "{}", ".cline/data/settings/providers.json": "{}"}.items():
        path = desk.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (desk.project / "opencode.json").write_text("{}")
    before = snapshot(desk.home), snapshot(desk.project)
    assert desk.run(client, "--server", server.base_url, STUB_DO="exit 42").returncode == 42
    assert desk.run(client, "--server", server.base_url, "--dry-run").returncode == 0
    assert (snapshot(desk.home), snapshot(desk.project)) == before
    assert desk.left_over() == []


def test_claude_gets_its_settings_twice(desk, server):
    desk.run("claude", "--server", server.base_url, ANTHROPIC_API_KEY="sk-real", ANTHROPIC_BASE_URL="http://elsewhere")
    report = desk.report()
    settings = env_file(report)
    assert report["argv"][0] == "--settings"
    for name, value in {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_MODEL": "Coder",
                        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "Coder:aux", "CLAUDE_CODE_SUBAGENT_MODEL": "Coder:subagent",
                        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "65536"}.items():
        assert report["env"][name] == value and settings["env"][name] == value
    assert "ANTHROPIC_API_KEY" not in report["env"] and settings["env"]["ANTHROPIC_API_KEY"] == ""
    line = subprocess.run(settings["statusLine"]["command"], shell=True, capture_output=True, text=True, timeout=10, input="{}")
    assert line.returncode == 0 and line.stdout.startswith("kvern Coder · idle"), line


def test_a_client_reaches_the_model(desk, server):
    run = desk.run("qwen", "--server", server.base_url + "/v1/", STUB_DO="ask")
    assert run.returncode == 0, run.stderr
    assert desk.report()["answer"] == "Hello, agent."


def test_what_is_replaced_and_what_would_win_is_said(desk, server):
    (desk.home / ".claude").mkdir()
    (desk.home / ".claude/settings.json").write_text('{"env":{"ANTHROPIC_MODEL":"x"},"statusLine":{"type":"command"}}')
    run = desk.run("claude", "--server", server.base_url, "--context", "8k", OPENAI_API_KEY="k", ANTHROPIC_BASE_URL="http://e",
                   HTTPS_PROXY="http://proxy:1")
    for words in ("your ANTHROPIC_BASE_URL=http://e is replaced", "settings.json sets ANTHROPIC_MODEL", "you have a status line",
                  "NO_PROXY", "the client is told 8192 tokens, the server has 65536", "--simple"):
        assert words in run.stderr, run.stderr
    assert "statusLine" not in env_file(desk.report())
    assert desk.report()["env"]["NO_PROXY"] == "127.0.0.1"


def test_a_pipe_in_the_place_of_a_settings_file_is_not_waited_for(desk, server):
    (desk.project / ".claude").mkdir()
    os.mkfifo(desk.project / ".claude/settings.json")
    os.mkfifo(desk.project / "opencode.json")
    for client in CLIENTS:
        assert desk.run(client, "--server", server.base_url).returncode == 0


def test_a_server_is_started_where_none_is_and_ends_with_the_client(desk, fake, no_server):
    model = fake({"when": "Hi", "say": "From my own server."})
    run = desk.run("qwen", "--model", model, "--context", "16k", "-p", "x", STUB_DO="ask",
                   KVERN_CACHE_DISK="0", KVERN_UNIX_SOCKET="/nowhere/s", KVERN_PORT="1")
    assert run.returncode == 0, run.stderr
    report = desk.report()
    assert report["answer"] == "From my own server." and report["argv"][-2:] == ["-p", "x"]
    address = report["env"]["OPENAI_BASE_URL"].removesuffix("/v1")
    assert env_file(report)["modelProviders"]["openai"][0]["generationConfig"]["contextWindowSize"] == 16384
    (log,) = desk.left_over()  # the log stays, and its path was said
    assert log.startswith("kvern-serve-") and str(desk.temp / log) in run.stderr
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=2)


def test_a_server_that_cannot_start_is_an_error_with_its_reason(desk):
    run = desk.run("claude", "--model", "fake:nowhere.json", KVERN_CACHE_DISK="0")
    assert run.returncode == 3 and "nowhere.json" in run.stderr and "kvern-serve-" in run.stderr
    assert not desk.report_path.exists()


@contextmanager
def loading_server(is_done=lambda asked: False, is_silent=lambda asked: False, on_ask=lambda asked: None, **facts):
    """Its address. It says that it loads its model; each is asked with how many requests came so far. Facts are what
    it says when it is done."""

    class Loading(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            Loading.asked += 1
            on_ask(Loading.asked)
            if is_silent(Loading.asked):
                return
            loading = not is_done(Loading.asked)
            body = {"error": {"message": "the model is still loading"}}
            if not loading:
                body = {"status": "ok", "model": "Late", "running": 0, "waiting": 0,
                        "data": [{"id": "Late", "context_length": 40960}]} | facts
            data = json.dumps(body).encode()
            self.send_response(503 if loading else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Loading) as late:
        threading.Thread(target=late.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{late.server_port}"
        late.shutdown()


def test_a_server_that_loads_its_model_is_waited_for(desk):
    with loading_server(is_done=lambda asked: asked > 4, is_silent=lambda asked: asked in (2, 3)) as address:
        run = desk.run("opencode", "--server", address)
    assert run.returncode == 0 and "loads its model" in run.stderr, run.stderr
    assert '"context":40960' in desk.report()["env"]["OPENCODE_CONFIG_CONTENT"]


def test_a_server_that_ends_while_it_loads_is_an_error(desk):
    with loading_server(is_silent=lambda asked: asked > 1) as address:
        run = desk.run("opencode", "--server", address)
    assert run.returncode == 1 and "answers no more" in run.stderr and "is not kvern" not in run.stderr, run.stderr
    assert not desk.report_path.exists()


def test_a_signal_before_the_server_has_answered_counts(desk):
    asked, answer = threading.Event(), threading.Event()
    with loading_server(on_ask=lambda _: (asked.set(), answer.wait(10))) as address:
        process = desk.start("codex", "--server", address)
        assert asked.wait(20)
        process.send_signal(signal.SIGTERM)
        answer.set()
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 143, stderr
    assert desk.left_over() == [] and not desk.report_path.exists()


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 77), (signal.SIGHUP, 129)])
def test_a_signal_reaches_the_client_and_its_end_is_ours(desk, fake, number, status):
    process = desk.start("codex", "--model", fake("x"), STUB_DO="wait", KVERN_CACHE_DISK="0")
    report = desk.reported()
    assert report["group"] == os.getpgid(process.pid), "it would not get Ctrl-C from a terminal"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == status, stderr
    assert not Path(f"/proc/{report['pid']}").exists()
    assert [name for name in desk.left_over() if not name.startswith("kvern-serve-")] == []
    log = next(desk.temp.glob("kvern-serve-*")).read_text()
    assert "ready" in log


def test_a_signal_while_the_server_starts_ends_everything(desk, fake):
    model = fake("x")
    process = desk.start("claude", "--model", model, STUB_DO="wait", KVERN_CACHE_DISK="0")
    wait_until(lambda: any(desk.temp.glob("kvern-serve-*")), 20, "a server that starts")
    process.send_signal(signal.SIGTERM)  # at the latest the client is there by now
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 143, stderr
    assert len(desk.left_over()) == 1
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and model in command_of(pid)]


def test_a_server_that_has_another_model_is_not_taken_for_the_right_one(desk, server):
    run = desk.run("claude", "--server", server.base_url, "--model", "other.gguf")
    assert run.returncode == 2 and "has Coder, not other.gguf" in run.stderr
    assert desk.run("claude", "--server", server.base_url, "--model", "models/Coder.gguf").returncode == 0


def test_a_key_is_needed_and_stays_out_of_sight(desk, serve, fake):
    server = serve("--api-key", "s3cret", "--name", "Locked", model=fake({"when": "Hi", "say": "In."}))
    run = desk.run("qwen", "--server", server.base_url)
    assert run.returncode == 3 and "KVERN_API_KEY" in run.stderr
    run = desk.run("qwen", "--server", server.base_url, "--api-key", "wrong")
    assert run.returncode == 3 and "does not take this key" in run.stderr
    run = desk.run("qwen", "--server", server.base_url, STUB_DO="ask", KVERN_API_KEY="s3cret")
    assert run.returncode == 0 and desk.report()["answer"] == "In."
    for client in CLIENTS:
        desk.run(client, "--server", server.base_url, "--api-key", "s3cret")
        assert "s3cret" not in json.dumps(desk.report()["argv"])
        for show in (["--dry-run"], ["--print-env"], ["--dry-run", "--json"]):
            shown = desk.run(client, "--server", server.base_url, "--api-key", "s3cret", *show)
            assert shown.returncode == 0 and "s3cret" not in shown.stdout + shown.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_what_dry_run_prints_does_the_same_in_a_shell(desk, serve, fake, server, client):
    desk.run(client, "--server", server.base_url, "--", *ODD)
    told = desk.report()
    shown = desk.run(client, "--server", server.base_url, "--dry-run", "--", *ODD)
    assert not desk.report_path.exists(), "a dry run started the client"
    assert desk.left_over() == []
    ran = subprocess.run(["sh"], input=shown.stdout, capture_output=True, text=True, env=desk.variables(STUB_DO="exit 5"),
                         cwd=desk.project, timeout=30)
    assert ran.returncode == 5, ran.stderr
    again = desk.report()

    def comparable(report):
        """Without the name of the temporary folder, which is another each time."""
        text = json.dumps([report["argv"], sorted(report["files"].values()),
                           {k: v for k, v in report["env"].items() if k not in ("_", "OLDPWD", "PWD", "SHLVL", "STUB_DO")}],
                          sort_keys=True)
        for path in report["files"]:
            text = text.replace(str(Path(path).parent), "FOLDER")
        return text

    assert comparable(again) == comparable(told)
    assert desk.left_over() == []


@pytest.mark.parametrize("client", CLIENTS)
def test_print_env_is_export_lines_and_json_an_object(desk, server, client):
    shown = desk.run(client, "--server", server.base_url, "--print-env")
    assert all(line.startswith("export ") for line in shown.stdout.splitlines())
    assert subprocess.run(["sh", "-eu"], input=shown.stdout, text=True, timeout=10).returncode == 0
    shown = desk.run(client, "--server", server.base_url, "--dry-run", "--json", "x y")
    plan = json.loads(shown.stdout)
    assert plan["program"] == client and plan["argv"][-1] == "x y"
    assert plan["server"] == {"address": server.base_url, "model": "Coder", "context": 65536}


def test_a_dry_run_needs_neither_client_nor_server(desk, no_server):
    (desk.bin / "claude").unlink()
    shown = desk.run("claude", "--server", no_server, "--dry-run")
    assert shown.returncode == 0 and no_server in shown.stdout and "guesses" in shown.stderr
    assert desk.left_over() == []


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_is_not_there_is_named_with_what_would_install_it(desk, no_server, client):
    (desk.bin / client).unlink()
    run = desk.run(client, "--server", no_server)
    assert run.returncode == 3 and run.stdout == ""
    assert f"'{client}'" in run.stderr and ("npm install -g " in run.stderr or "git clone" in run.stderr)


@pytest.mark.parametrize("words, said", [
    (["--context", "many"], "--context"), (["--context", "0"], "--context"), (["--context"], "--context"),
    (["--server"], "--server"), (["--server", "ftp://x"], "--server"), (["--server", "unix:/s"], "--server"),
    (["--server", "https://x"], "--server"), (["--server", "http://"], "--server"), (["--model="], "--model"),
    (["--server", "http://a b"], "--server"), (["--dry-run", "--print-env"], "not both"), (["--dry-run=x"], "no value"),
    (["--json"], "-- --json"),
])
def test_a_flag_of_ours_that_is_wrong_is_an_error_that_names_it(desk, words, said):
    run = desk.run("cline", *words)
    assert run.returncode == 2 and said in run.stderr and run.stdout == "", run.stderr
    assert not desk.report_path.exists()


def test_a_server_that_was_named_must_be_there(desk, no_server):
    run = desk.run("claude", "--server", no_server)
    assert run.returncode == 3 and no_server in run.stderr and "kvern serve" in run.stderr
    run = desk.run("claude", KVERN_SERVER=no_server)
    assert run.returncode == 3 and "KVERN_SERVER" in run.stderr


def test_more_context_than_the_server_has_is_refused(desk, server):
    run = desk.run("claude", "--server", server.base_url, "--context", "128k")
    assert run.returncode == 2 and "65536" in run.stderr and "--context 128k" in run.stderr


def test_help_names_the_flags_and_how_to_reach_the_clients_own(desk):
    for client in CLIENTS:
        run = desk.run(client, "--help")
        assert run.returncode == 0 and "--dry-run" in run.stdout and f"kvern {client} -- --help" in run.stdout
    assert "claude" in run_kvern("--help").stdout
    assert "did you mean 'claude'" in run_kvern("cluade").stderr


def test_status_is_a_short_line_and_silent_where_no_server_is(serve, fake, no_server):
    server = serve("--name", "a-model-with-a-very-long-name-ü☂ü☂ü☂", model=fake("Well."))
    run = run_kvern("status", "--line", "--server", server.base_url)
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.endswith(" · idle\n")
    for _ in range(2):
        server.chat("word " * 4000)
    run = run_kvern("status", "--line", "--server", server.base_url)
    assert run.stdout.endswith(" · idle · last prompt 20.0k, 99 % reused\n") and len(run.stdout) <= 80, run.stdout
    run = run_kvern("status", "--line", "--server", no_server)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    run = run_kvern("status", "--server", no_server)
    assert run.returncode == 3 and "kvern serve" in run.stderr


def test_a_status_line_has_at_most_80_columns(desk):
    facts = {"model": "x" * 40, "prompt_tokens": 123456, "computed_tokens": 1}
    for running, waiting in ((8, 0), (16, 128), (16000, 12800), (2**60, 2**60)):
        with loading_server(is_done=lambda _: True, running=running, waiting=waiting, **facts) as address:
            line = run_kvern("status", "--line", "--server", address).stdout
        assert 60 < len(line.rstrip("\n")) <= 80 and f" · {running} running" in line, line
        assert ("last prompt 123.5k, 99 % reused" in line) == (running < 2**60), line
