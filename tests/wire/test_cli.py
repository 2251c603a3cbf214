"""The other commands: help and version, doctor, and a terminal conversation without a terminal."""

import json
import socket

import pytest

from server import run_kvern


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(model=fake({"when": "pirate", "say": "Arr!"}, {"when": "sum of (\\d+) and (\\d+)", "say": "{{1}} plus {{2}}"},
                            "Hello, terminal. ☂"))


@pytest.fixture
def no_server():
    """An address nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_version_names_both_programs(kvern):
    run = run_kvern("--version")
    assert run.returncode == 0 and run.stdout.startswith("kvern 0.") and "llama.cpp" in run.stdout and run.stderr == ""


def test_help_lists_the_commands_and_their_flags(kvern):
    run = run_kvern("--help")
    assert run.returncode == 0
    for command in ("serve", "chat", "doctor"):
        assert command in run.stdout
        of_command = run_kvern(command, "--help")
        assert of_command.returncode == 0 and f"kvern {command}" in of_command.stdout and of_command.stderr == ""
    flags = run_kvern("serve", "--help").stdout
    for flag in ("--model", "--name", "--host", "--port", "--context", "--parallel", "--latency-target",
                 "--threads", "--cache-dir", "--cache-ram", "--cache-disk", "--no-cache", "--kv-type", "--chat-template", "--dialect", "--api-key", "--log-level",
                 "--log-format", "--config", "--unix-socket"):
        assert f"{flag} " in flags


def test_no_command_and_an_unknown_one_are_told_what_there_is(kvern):
    run = run_kvern()
    assert run.returncode == 2 and "serve" in run.stderr and run.stdout == ""
    run = run_kvern("sevre")
    assert run.returncode == 2 and "'serve'" in run.stderr and run.stdout == ""


def checks(run):
    return {check["id"]: check for check in json.loads(run.stdout)["checks"]}


def test_doctor_reports_as_json(server, fake):
    port = server.base_url.rsplit(":", 1)[1]
    run = run_kvern("doctor", "--json", "--model", fake("x"), "--port", port)
    assert run.returncode == 0, run.stdout
    found = checks(run)
    assert set(found) == {"build", "cpu", "memory", "cache_dir", "model", "port", "server"}
    assert {check["status"] for check in found.values()} <= {"pass", "warn"}
    assert "kvern" in found["port"]["message"] and "fake" in found["server"]["message"]


def test_doctor_finds_what_would_keep_a_server_from_running(kvern, tmp_path):
    junk = tmp_path / "junk.gguf"
    junk.write_text("junk")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        run = run_kvern("doctor", "--json", "--model", junk, "--port", other.getsockname()[1])
    assert run.returncode == 1 and json.loads(run.stdout)["ok"] is False
    found = checks(run)
    assert found["model"]["status"] == "fail" and "GGUF" in found["model"]["message"]
    assert found["port"]["status"] == "fail" and "--port" in found["port"]["hint"]


def test_doctor_for_people_ends_with_a_sentence(kvern, fake):
    run = run_kvern("doctor", "--model", fake("x"))
    assert run.stdout.strip().splitlines()[-1].startswith("kvern ")


def test_chat_answers_one_question_and_leaves(server):
    run = run_kvern("chat", "--server", server.base_url, "-p", "the sum of 3 and 4", "--temperature", "0")
    assert (run.returncode, run.stdout, run.stderr) == (0, "3 plus 4\n", "")


def test_chat_reads_a_question_from_a_pipe(server):
    run = run_kvern("chat", "--server", server.base_url, "-s", "Be brief.", stdin="Anybody there?\n")
    assert (run.returncode, run.stdout, run.stderr) == (0, "Hello, terminal. ☂\n", "")
    nothing = run_kvern("chat", "--server", server.base_url)
    assert nothing.returncode == 2 and "-p" in nothing.stderr


def test_chat_tells_why_there_is_no_answer(server, no_server):
    run = run_kvern("chat", "--server", no_server, "-p", "Hi")
    assert run.returncode == 3 and "--server" in run.stderr and no_server in run.stderr and run.stdout == ""
    run = run_kvern("chat", "--server", server.base_url, "-p", "Hi", "--max-tokens", "0")
    assert run.returncode == 2 and "--max-tokens" in run.stderr


def test_chat_uses_a_key_and_a_unix_socket(serve, fake, tmp_path_factory):
    path = tmp_path_factory.mktemp("socket") / "s"
    serve("--api-key", "k", model=fake("Locked in."), unix_socket=path)
    run = run_kvern("chat", "--unix-socket", path, "-p", "Hi", KVERN_API_KEY="k")
    assert (run.returncode, run.stdout) == (0, "Locked in.\n")
    run = run_kvern("chat", "--unix-socket", path, "-p", "Hi")
    assert run.returncode != 0 and "key" in run.stderr and run.stdout == ""


def test_chat_brings_a_server_of_its_own(kvern, fake):
    run = run_kvern("chat", "-m", fake("From my own server."), "-p", "Hi")
    assert (run.returncode, run.stdout, run.stderr) == (0, "From my own server.\n", "")
    run = run_kvern("chat", "-m", "fake:nowhere.json", "-p", "Hi")
    assert run.returncode == 3 and "nowhere.json" in run.stderr
