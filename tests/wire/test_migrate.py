"""Coming from another server: its command line, its routes, its request fields and its answers' shapes."""

import json
import re

import openai
import pytest

from server import ROOT, Server, run_kvern

LLAMA = ("-c", "8192", "-np", "2", "-t", "2", "-tb", "2", "-ngl", "99", "-fa", "on", "-b", "2048", "-ub", "512", "--cache-ram", "64",
         "--cache-reuse", "256", "--slot-save-path", "/tmp", "--slots", "--props", "--metrics", "--jinja", "--reasoning-format",
         "auto", "-ctk", "q8_0", "-ctv", "q8_0", "-a", "qwen", "--no-webui", "--mlock", "--temp", "0", "--swa-full", "-n", "7")
TEXTGEN = ("--model-name", "qwen", "--max-capacity", "50", "--min-tokens", "20", "--max-reprocess-tokens", "250",
           "--replace-threshold", "0.95", "--use-reasoning-content", "--api-key", "k")
MLX_LM = ("--trust-remote-code", "--temp", "0.0", "--top-p", "1.0", "--max-tokens", "5", "--prompt-cache-size", "10",
          "--prompt-cache-bytes", "67108864", "--decode-concurrency", "3", "--log-level", "INFO",
          "--num-draft-tokens", "3", "--use-default-chat-template")


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve("--name", "qwen", "--parallel", "3",
                 model=fake({"when": "one", "say": "first"}, {"when": "two", "say": "second"}, {"when": "lines", "say": "a\nb END c"},
                            "something else"))


def notes(server):
    return [entry["note"] for entry in server.log("flag")]


# Command lines.


def test_a_command_line_for_llama_server_starts_kvern(serve, fake):
    server = serve(*LLAMA, model=fake("one two three four five"))
    ready = server.ready
    assert (ready["context"], ready["parallel"], ready["model"]) == (8192, 2, "qwen")
    assert ready["cache_ram_bytes"] == 64 << 20
    told = notes(server)
    assert "--cache-reuse: not needed, any common prefix is reused" in told
    assert "-np 2: taken as --parallel 2" in told and "-a qwen: taken as --name qwen" in told
    assert "--cache-ram 64: taken as --cache-ram 64M" in told
    assert len(told) == 22  # one line for each flag that is not ours
    params = server.http.get("/props").json()["default_generation_settings"]["params"]
    assert params["temperature"] == 0 and params["n_predict"] == 7
    answer = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}).json()
    assert answer["usage"]["completion_tokens"] == 7 and answer["choices"][0]["finish_reason"] == "length"


def test_a_command_line_for_mlx_textgen_starts_kvern(fake):
    with Server("--model-path", fake("hello"), *TEXTGEN) as server:
        assert server.ready["model"] == "qwen"
        assert len(notes(server)) == 7
        assert not any("k" == word for note in notes(server) for word in note.split())
        assert server.http.get("/v1/models").status_code == 401
        assert [model.id for model in server.openai("k").models.list()] == ["qwen"]


def test_a_command_line_for_mlx_lm_starts_kvern(serve, fake):
    said = "one two three four five"
    server = serve(*MLX_LM, "--draft-model", fake(said), model=fake(said))
    assert server.log("draft model")
    assert server.ready["parallel"] == 3 and server.ready["cache_ram_bytes"] == 64 << 20
    answer = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}).json()
    assert answer["usage"]["completion_tokens"] == 5


def test_what_became_of_the_flags_is_told_in_plain_lines(kvern):
    run = run_kvern("serve", "-m", "nowhere.gguf", "-np", "4", "--cache-reuse", "256")
    assert run.returncode == 3 and run.stdout == ""
    lines = run.stderr.splitlines()
    assert lines[:2] == ["-np 4: taken as --parallel 4", "--cache-reuse: not needed, any common prefix is reused"]


@pytest.mark.parametrize("flags, words", [
    (("--lora", "a.gguf"), "merge it into the model"),
    (("-mu", "https://x/m.gguf"), "give it with -m"),
    (("--mmproj", "v.gguf"), "pictures"),
    (("--embeddings",), "another server"),
    (("--ssl-key-file", "k.pem"), "--unix-socket"),
    (("--reasoning-format", "none"), "reasoning_content"),
    (("--cache-ram=-1",), "16G"),
    (("-ctk", "q8_0", "-ctv", "q4_0"), "--kv-type"),
    (("--adapter-path", "a"), "fuse it into the model"),
    (("--tokenizer-path", "t"), "GGUF"),
    (("--temp", "hot"), "temperature"),
    (("-cf", "nowhere.yaml"), "nowhere.yaml"),
    (("--chat-template", "{{ messages }}"), "file"),
])
def test_what_cannot_be_honoured_stops_the_start_and_says_what_to_do(kvern, flags, words):
    run = run_kvern("serve", *flags)
    assert run.returncode == 2 and words in run.stderr and run.stdout == ""
    assert flags[0].split("=")[0] in run.stderr or "--default" in run.stderr or flags[0] == "-ctk"


def test_the_tables_of_flags_can_be_read(kvern):
    for server, flag in (("llama-server", "--slot-save-path"), ("mlx-textgen", "--max-capacity"), ("mlx-lm", "--decode-concurrency")):
        run = run_kvern("serve", "--help-from", server)
        assert run.returncode == 0 and flag in run.stdout and run.stderr == ""
        assert run_kvern("serve", f"--help-from={server}").stdout == run.stdout
    run = run_kvern("serve", "--help-from", "ollama")
    assert run.returncode == 2 and "llama-server" in run.stderr
    assert "--slot-save-path" not in run_kvern("serve", "--help").stdout


def test_mlx_textgens_config_file_is_read(fake, tmp_path):
    config = tmp_path / "model_config.yaml"
    config.write_text("model_configs:\n"
                      f"- model_id_or_path: {fake('hello')}\n"
                      "  model_name: qwen\n  model_kwargs: null\n  enable_cache: true\n  preprocess_batch_size: 512\n"
                      "host: 127.0.0.1\nport: 1\napi_keys:\n- one\n- two\nmax_capacity: 50\n")
    with Server("-cf", config, "--name", "from-the-flag") as server:
        assert server.ready["model"] == "from-the-flag"  # a flag wins; so does --port 0
        assert server.openai("two").models.list().data[0].id == "from-the-flag"
        assert any(note.startswith(f"{config}:6: preprocess_batch_size: ") for note in notes(server))
    config.write_text("model_configs:\n- model_name: a\n- model_name: b\n")
    run = run_kvern("serve", "-cf", config)
    assert run.returncode == 2 and f"{config}:3" in run.stderr and "one server serves one" in run.stderr


def test_a_model_another_program_downloaded_is_found_by_its_name(kvern, tmp_path):
    snapshot = tmp_path / "hub/models--org--m/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "m-Q4_K_M.gguf").write_text("junk")
    for flags in (("-hf", "org/m"), ("-m", "hf.co/org/m:Q4_K_M")):
        run = run_kvern("serve", *flags, HF_HOME=str(tmp_path))
        assert run.returncode == 2 and str(snapshot / "m-Q4_K_M.gguf") in run.stderr and "GGUF" in run.stderr
    run = run_kvern("serve", "-hf", "org/m:Q8_0", HF_HOME=str(tmp_path))
    assert run.returncode == 3 and "org/m:Q8_0" in run.stderr


# Metadata.


def test_models_have_the_fields_of_every_dialect(server):
    page = server.http.get("/v1/models?limit=1000").json()
    context = server.ready["context"]
    assert (page["object"], page["has_more"], page["first_id"], page["last_id"]) == ("list", False, "qwen", "qwen")
    [model] = page["data"]
    for field in ("max_model_len", "context_length", "context_window", "max_input_tokens", "max_tokens"):
        assert model[field] == context
    assert model["meta"]["n_ctx"] == context
    assert (model["object"], model["type"], model["display_name"]) == ("model", "model", "qwen")
    assert model["created_at"].endswith("Z") and isinstance(model["created"], int)
    assert server.http.get("/v1/models/qwen").json() == model


def test_props_are_llama_servers(server):
    props = server.http.get("/props").json()
    assert props["default_generation_settings"]["n_ctx"] == server.ready["context"]
    assert props["total_slots"] == 3 and props["model_path"].startswith("fake:") and "kvern" in props["build_info"]
    assert isinstance(props["chat_template"], str)
    assert server.http.post("/props", json={}).status_code == 405


def test_slots_show_who_runs_in_numbers(kvern, fake):
    with Server("--parallel", "2", model=fake("word " * 40, tokens_per_second=20)) as server:
        assert [slot["is_processing"] for slot in server.http.get("/slots").json()] == [False, False]
        body = {"messages": [{"role": "user", "content": "secret"}], "stream": True, "max_tokens": 100}
        with server.http.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = (line for line in stream.iter_lines() if '"content":"w' in line)
            next(lines)
            answer = server.client().get("/slots")
            slots = answer.json()
        assert [slot["is_processing"] for slot in slots] == [True, False] and "secret" not in answer.text
        assert slots[0]["n_prompt_tokens"] == slots[0]["n_prompt_tokens_processed"] > 0
        assert 0 < slots[0]["next_token"][0]["n_decoded"] < 100


def test_versions_are_told(server):
    version = run_kvern("--version").stdout.split()[1]
    assert server.http.get("/version").json() == {"version": version}
    assert server.http.get("/api/version").json() == {"version": "0.0.0", "kvern": version}
    assert [model["name"] for model in server.http.get("/api/tags").json()["models"]] == ["qwen"]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embedding", "/v1/rerank", "/infill", "/slots/0?action=save", "/lora-adapters",
                                  "/api/chat", "/api/pull", "/v1/audio/transcriptions"])
def test_routes_of_others_that_are_not_here_say_why(server, path):
    answer = server.post(path, {"input": "x"})
    assert answer.status_code == 501 and answer.headers["x-should-retry"] == "false"
    assert len(answer.json()["error"]["message"]) > 30


def test_an_sdk_is_told_at_once_that_there_are_no_embeddings(server):
    client = server.openai().with_options(max_retries=5)
    with pytest.raises(openai.APIStatusError, match="run another server"):
        client.embeddings.create(model="qwen", input="x")


# Requests.


def test_input_tokens_are_what_the_prompt_would_have(server):
    messages = [{"role": "user", "content": "one"}]
    count = server.post("/v1/chat/completions/input_tokens", {"messages": messages}).json()
    assert count == {"object": "response.input_tokens", "input_tokens": len(server.prompt(messages))}
    wrong = server.post("/v1/chat/completions/input_tokens", {"messages": "x"})
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "messages"


def conversation(text):
    return [{"role": "user", "content": text}]


def test_several_conversations_are_answered_in_one_request(server):
    body = {"messages": [conversation("one"), conversation("two")], "n": 2}
    answer = server.post("/v1/chat/completions", body).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["first", "first", "second", "second"]
    alone = sum(len(server.prompt(conversation(text))) for text in ("one", "two"))
    assert answer["usage"]["prompt_tokens"] == alone


def test_several_conversations_stream_side_by_side(server):
    texts = {0: "", 1: ""}
    body = {"messages": [conversation("one"), conversation("two")], "stream": True}
    with server.http.stream("POST", "/v1/chat/completions", json=body) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == {0: "first", 1: "second"}


def test_turns_of_each_conversation_are_remembered_as_its_own(server):
    questions = [conversation("one, please"), conversation("two, please")]
    said = server.post("/v1/chat/completions", {"messages": questions}).json()["choices"]
    follow = [question + [choice["message"], {"role": "user", "content": "go on"}] for question, choice in zip(questions, said)]
    for messages in follow:
        before = len(server.prompt(messages[:1])) + len(messages[1]["content"])
        usage = server.post("/v1/chat/completions", {"messages": messages}).json()["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] >= before


@pytest.mark.parametrize("messages, param", [([[]], "messages[0]"), ([conversation("x"), "y"], "messages[1]"),
                                             ([conversation("x"), [{"role": "nobody", "content": ""}]], "messages[1][0].role"),
                                             ([conversation("x"), conversation("y")[0]], "messages[1]"),
                                             ([conversation("x")[0], conversation("y")], "messages[1]")])
def test_a_conversation_that_is_none_is_named(server, messages, param):
    answer = server.post("/v1/chat/completions", {"messages": messages})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param


def test_conversations_have_a_bound(server):
    many = server.post("/v1/chat/completions", {"messages": [conversation("x")] * 65})
    assert many.status_code == 413 and many.json()["error"]["param"] == "messages"
    product = server.post("/v1/chat/completions", {"messages": [conversation("x")] * 33, "n": 2})
    assert product.status_code == 400 and product.json()["error"]["param"] == "n"
    assert server.post("/apply-template", {"messages": [conversation("x")] * 2}).status_code == 400


def test_mlx_textgens_own_fields_are_taken(server):
    body = {"messages": conversation("one"), "guided_choice": ["yes", "no"], "max_reasoning_tokens": 5, "repetition_penalty": 1.1,
            "repetition_context_size": 1000, "reasoning_effort": "low", "whitespace_pattern": None, "top_k": 5, "min_p": 0.1}
    answer = server.post("/v1/chat/completions", body)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] in ("yes", "no")


def test_llama_servers_completion_answers_in_its_shape(server):
    answer = server.post("/completion", {"prompt": "one", "n_predict": 50, "cache_prompt": True}).json()
    assert (answer["content"], answer["stop"], answer["stop_type"]) == ("first", True, "eos")
    assert answer["tokens_predicted"] == 6 and answer["tokens_evaluated"] == 3 and answer["tokens_cached"] == 9
    assert answer["timings"]["prompt_n"] + answer["timings"]["cache_n"] == 3
    assert answer["model"] == "qwen" and answer["index"] == 0 and answer["truncated"] is False
    cut = server.post("/completion", {"prompt": "lines", "n_predict": 3}).json()
    assert (cut["content"], cut["stop_type"], cut["has_new_line"]) == ("a\nb", "limit", True)
    stopped = server.post("/completions", {"prompt": "lines", "stop": ["END"], "return_tokens": True}).json()
    assert (stopped["content"], stopped["stop_type"], stopped["stopping_word"]) == ("a\nb ", "word", "END")
    assert len(stopped["tokens"]) == stopped["tokens_predicted"]
    both = server.post("/completion", {"prompt": ["one", "two"]}).json()
    assert [one["content"] for one in both] == ["first", "second"] and [one["index"] for one in both] == [0, 1]
    wrong = server.post("/completion", {"n_predict": 5})
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "prompt"


def test_llama_servers_completion_streams_without_a_done(server):
    with server.http.stream("POST", "/completion", json={"prompt": "one", "stream": True, "n_probs": 2}) as stream:
        frames = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert "".join(frame["content"] for frame in frames) == "first"
    assert [frame["stop"] for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert all(len(frame["completion_probabilities"]) == 1 for frame in frames[:-1])
    assert frames[-1]["tokens_predicted"] == 6 and "timings" in frames[-1]


def test_progress_is_told_when_it_is_asked_for(kvern, fake):
    with Server(model=fake("done", batch=64)) as server:
        text = "word " * 100
        plain = server.stream(text)
        assert not any("prompt_progress" in chunk for chunk in plain)
        with server.http.stream("POST", "/v1/chat/completions", json={"messages": conversation("a " + text), "stream": True,
                                                                      "return_progress": True}) as stream:
            chunks = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: {")]
        told = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
        assert len(told) > 5 and told[0]["processed"] == told[0]["cache"] and told[-1]["processed"] == told[-1]["total"]
        assert [one["processed"] for one in told] == sorted(one["processed"] for one in told)
        assert {one["total"] for one in told} == {len(server.prompt(conversation("a " + text)))}
        content = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
        assert content == "done"


def test_defaults_of_the_command_line_are_those_of_requests_that_say_nothing(serve, fake):
    server = serve("--default", "max_tokens=4,temperature=0", model=fake("one two three"))
    answer = server.post("/v1/chat/completions", {"messages": conversation("x")}).json()
    assert answer["usage"]["completion_tokens"] == 4
    assert server.chat("x", max_tokens=6)["usage"]["completion_tokens"] == 6
    assert server.post("/v1/completions", {"prompt": "x"}).json()["usage"]["completion_tokens"] == 4
    run = run_kvern("serve", "--default", "tempreature=1")
    assert run.returncode == 2 and "tempreature" in run.stderr and "--default" in run.stderr


def test_words_about_reasoning_on_the_command_line_reach_the_template(kvern, fake, tmp_path):
    template = tmp_path / "t.jinja"
    template.write_text("{{ enable_thinking }}|{{ reasoning_effort }}|{{ x }}|{{ messages[-1]['content'] }}|")
    with Server("--reasoning", "off", "--reasoning-effort", "low", "--chat-template-kwargs", '{"x": 7}', "--chat-template-file", template,
                model=fake("yes")) as server:
        def prompt(**fields):
            return server.post("/apply-template", {"messages": conversation("hi")} | fields).json()["prompt"]

        assert prompt() == "False|low|7|hi|"
        assert prompt(enable_thinking=True) == "True||7|hi|"
        assert prompt(chat_template_kwargs={"x": 8}) == "False|low|8|hi|"
        count = server.post("/v1/chat/completions/input_tokens", {"messages": conversation("hi")}).json()["input_tokens"]
        assert count == len("False|low|7|hi|")


def test_the_tables_in_the_docs_name_flags_that_are_known(kvern):
    docs = (ROOT / "docs/migrate.md").read_text()
    for heading, server in (("## llama-server", "llama-server"), ("## MLX-Textgen", "mlx-textgen"), ("## mlx_lm.server", "mlx-lm")):
        known = run_kvern("serve", "--help-from", server).stdout.replace(",", " ").split()
        rows = [line for line in docs.split(heading + "\n")[1].split("\n## ")[0].splitlines() if line.startswith("| `-")]
        flags = [word.split()[0] for row in rows for word in re.findall(r"`(-[^`]*)`", row.split("|")[1])]
        assert len(flags) > 10
        assert [flag for flag in flags if flag not in known] == []


def test_a_body_of_any_shape_is_an_answer_or_a_400(server):
    bodies = [{"prompt": shape} for shape in (None, "", [], [[]], {}, 7, True, ["a", 1], [1, "a"], [-1], [10**12], [None], "x" * 70_000)]
    bodies += [{"prompt": "x", name: value} for name, value in (("n_predict", 0), ("n_predict", "5"), ("n_probs", 21), ("stream", "yes"),
                                                               ("stop", [""]), ("json_schema", 5), ("return_tokens", 1))]
    for body in bodies:
        answer = server.post("/completion", body)
        assert answer.status_code == 400 and answer.json()["error"]["message"], body
    assert server.health()["status"] == "ok"
