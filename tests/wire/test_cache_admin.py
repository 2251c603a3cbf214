"""/admin/cache, /metrics and `kvern cache`: what is kept, why reuse stopped, and the changes people ask for.

One byte is one token, so positions are exact.
"""

import json
import re

import pytest

from server import function, run_kvern, wait_until

LOOK = function("look", {"where": {"type": "string"}})
LONG = "word " * 200  # more than three blocks of 256 tokens


def ask_cache(*arguments, folder, **extra):
    """What `kvern cache ... --json` says."""
    done = run_kvern("cache", *arguments, "--json", "--cache-dir", folder, **extra)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def metrics(server):
    text = server.http.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^([a-z][^ ]*) (\S+)$", text, re.MULTILINE)}


def why(server, request="LAST"):
    return server.http.get(f"/admin/cache/why/{request}").json()


def text(tokens):
    return "".join(token["text"] for token in tokens)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def server(serve, fake, folder):
    return serve("--cache-dir", folder, "--cache-disk", "100M", model=fake("This is the answer."))


def records_on_disk(server):
    return [r for r in server.http.get("/admin/cache/records?limit=10000").json()["records"] if r["on_disk"]]


@pytest.fixture(scope="module")
def kept(server):
    """The server after a long prompt, with records on disk."""
    server.chat(LONG)
    wait_until(lambda: records_on_disk(server), 20, "records on disk")
    return server


def test_the_report_has_every_tier(kept, folder):
    report = kept.http.get("/admin/cache").json()
    assert report["mode"] and report["device"]["cells"] > 0
    assert report["memory"]["budget_bytes"] > 0
    assert report["disk"]["owner"] is True and report["disk"]["budget_bytes"] == 100 << 20
    tokens = report["prompt_tokens"]
    assert tokens["all"] >= tokens["device"] + tokens["memory"] + tokens["disk"] + tokens["computed"] - 1
    assert ask_cache("ls", "--url", kept.base_url, folder=folder)["disk"]["fingerprint"] == report["disk"]["fingerprint"]


def test_records_are_listed_by_kind_and_at_most_as_many_as_asked_for(kept):
    everything = kept.http.get("/admin/cache/records").json()
    assert everything["total"] >= 4
    one = kept.http.get("/admin/cache/records?limit=1&kind=block").json()
    assert len(one["records"]) == 1 and one["records"][0]["kind"] == "block" and one["total"] >= 3
    wrong = kept.http.get("/admin/cache/records?limit=none")
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "limit"


@pytest.mark.parametrize("before, after, reason, segment", [
    ({"messages": "look at this"}, {"messages": "look at that"}, "edited", "user"),
    ({"messages": [{"role": "system", "content": "You help with code. It is Monday."}, {"role": "user", "content": "hello"}]},
     {"messages": [{"role": "system", "content": "You help with code. It is Sunday."}, {"role": "user", "content": "hello"}]},
     "header", "head"),
    ({"messages": "tools?", "tools": [LOOK]},
     {"messages": "tools?", "tools": [function("lock", {"where": {"type": "string"}})]}, "tools_changed", "head"),
])
def test_what_is_different_is_named(server, before, after, reason, segment):
    server.chat(**before)
    answer = server.chat(**after)
    assert answer["usage"]["kvern"]["why"] == reason
    report = why(server, answer["id"])
    assert (report["why"], report["segment"], report["id"]) == (reason, segment, answer["id"])
    tokens = server.prompt(**after)
    assert report["position"] < len(tokens) == report["prompt_tokens"]
    assert text(report["held"]) != text(report["now"])
    assert report["now"][0]["id"] == tokens[report["position"]]
    assert text(report["before"])


def test_why_is_told_in_words(server, folder):
    server.chat("one question")
    answer = server.chat("one quest")
    for arguments in (("LAST",), (answer["id"], "--url", server.base_url)):
        said = run_kvern("cache", "why", *arguments, "--cache-dir", folder)
        assert said.returncode == 0, said.stderr
        assert re.search(r"^prompt   \d+ tokens: \d+ reused", said.stdout, re.MULTILINE)
        assert re.search(r"^do       ", said.stdout, re.MULTILINE)
    unknown = run_kvern("cache", "why", "chatcmpl-nobody", "--cache-dir", folder)
    assert unknown.returncode == 3 and "no request 'chatcmpl-nobody'" in unknown.stderr
    assert "one quest" not in "\n".join(server.lines), "a prompt was logged"


def test_metrics_count_each_prompt_token_once(server):
    before = metrics(server)
    usage = [server.chat(f"metric {word}")["usage"] for word in ("one", "two", "two")]
    wanted = sum(u["prompt_tokens"] for u in usage)
    computed = sum(u["kvern"]["computed_tokens"] for u in usage)

    def grown():
        after = metrics(server)
        return {name: after[name] - before.get(name, 0) for name in after}

    counted = wait_until(lambda: (g := grown())['kvern_requests_total{finish="stop"}'] >= 3 and g, 5, "three requests counted")
    sources = {name: value for name, value in counted.items() if name.startswith("kvern_prompt_tokens_total")}
    assert sum(sources.values()) == wanted
    assert counted['kvern_prompt_tokens_total{source="computed"}'] == computed
    assert counted["kvern_time_to_first_token_seconds_count"] == 3
    assert sum(value for name, value in counted.items() if name.startswith("kvern_reuse_stops_total")) == 3


def test_metrics_are_prometheus_text(server):
    response = server.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in response.text.splitlines():
        assert re.match(r'# (HELP|TYPE) kvern_\w+ .+$|kvern_\w+(\{\w+="[^"]*"\})? [-+.e\d]+$', line), line


def test_a_pinned_record_survives_clear(kept, folder):
    record = next(r for r in records_on_disk(kept) if r["kind"] == "block" and r["begin"] == 0)
    assert ask_cache("pin", f"block:{record['id']}", folder=folder)["pinned"] is True
    assert ask_cache("clear", "--yes", folder=folder)["freed_bytes"] > 0
    (model,) = ask_cache("ls", "--records", folder=folder)["models"]
    assert [(r["id"], r["pinned"]) for r in model["list"] if r["pinned"]] == [(record["id"], True)]
    shown = ask_cache("show", f"block:{record['id']}", folder=folder)
    assert shown["checksum"] == "good" and len(shown["tokens"]) == 256
    assert shown["text"], "the server knows what its tokens say"
    assert ask_cache("unpin", f"block:{record['id']}", folder=folder)["pinned"] is False


def test_an_archive_goes_out_and_comes_back(kept, folder, tmp_path):
    kept.chat(LONG + "again")
    wait_until(lambda: records_on_disk(kept), 20, "records on disk")
    path = tmp_path / "all.kvern"
    out = kept.post("/admin/cache/export", {"path": str(path)}).json()
    assert out["records"] > 0 and path.stat().st_mode & 0o777 == 0o600
    again = kept.post("/admin/cache/export", {"path": str(path)})
    assert again.status_code == 400 and "exists already" in again.json()["error"]["message"]
    kept.post("/admin/cache/clear", {})
    assert kept.post("/admin/cache/import", {"path": str(path)}).json()["records"] > 0
    assert kept.post("/admin/cache/verify", {}).json()["bad"] == 0
    assert ask_cache("verify", folder=folder)["good"] >= out["records"]


@pytest.mark.parametrize("path, body, param", [
    ("prune", {}, "bytes_max"),
    ("prune", {"bytes_max": "10G"}, "bytes_max"),
    ("pin", {"id": "abc", "kind": "block"}, "id"),
    ("pin", {"id": "0" * 64, "kind": "blob"}, "kind"),
    ("export", {"path": "relative"}, "path"),
    ("import", {}, "path"),
])
def test_a_wrong_body_is_a_400_that_names_the_field(server, path, body, param):
    response = server.post(f"/admin/cache/{path}", body)
    assert response.status_code == 400 and response.json()["error"]["param"] == param, response.text


def test_unknown_things_are_404(server):
    assert server.post("/admin/cache/polish", {}).status_code == 404
    assert server.http.get("/admin/cache/why/nobody").status_code == 404
    assert server.post("/admin/cache/pin", {"id": "0" * 64, "kind": "block"}).status_code == 404


# A page in a browser can send this without asking first; it must not clear a cache.
def test_what_a_web_page_could_send_changes_nothing(server):
    response = server.http.post("/admin/cache/clear", content="{}", headers={"content-type": "text/plain"})
    assert response.status_code == 400 and "Content-Type" in response.json()["error"]["message"]


def test_the_key_guards_all_of_it(serve, fake, tmp_path):
    server = serve("--cache-dir", tmp_path, model=fake("Hello."), KVERN_API_KEY="secret")
    for path in ("/admin/cache", "/admin/cache/records", "/admin/cache/why/LAST", "/metrics"):
        assert server.http.get(path).status_code == 401
        assert server.http.get(path, headers={"authorization": "Bearer secret"}).status_code in (200, 404)
    assert server.post("/admin/cache/clear", {}).status_code == 401
    assert run_kvern("cache", "why", "LAST", "--url", server.base_url, "--cache-dir", tmp_path).returncode == 3
    said = run_kvern("cache", "ls", "--url", server.base_url, "--cache-dir", tmp_path, KVERN_API_KEY="secret")
    assert said.returncode == 0 and said.stdout.startswith("mode ")


def test_without_a_disk_changes_are_refused_in_words(serve, fake, tmp_path):
    server = serve("--cache-dir", tmp_path, "--cache-disk", "0", model=fake("Hello."))
    assert server.http.get("/admin/cache").json()["disk"] is None
    response = server.post("/admin/cache/clear", {})
    assert response.status_code == 404 and "--cache-disk 0" in response.json()["error"]["message"]


def test_a_warmed_head_is_there_for_the_first_request(serve, fake, tmp_path):
    head = {"role": "system", "content": "You are a careful assistant. " * 20}
    warm = tmp_path / "head.json"
    warm.write_text(json.dumps({"messages": [head, {"role": "user", "content": "x"}], "tools": [LOOK]}))
    server = serve("--cache-dir", tmp_path, "--warm", warm, model=fake("Hello."))
    line = server.wait_for_log("warmed")[0]
    assert line["file"] == str(warm) and line["tokens"] == line["reused"] + line["computed"]
    usage = server.chat([head, {"role": "user", "content": "a real question"}], tools=[LOOK])["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > len(head["content"])


def test_a_warm_file_that_is_no_request_stops_the_start(fake, tmp_path):
    for content, what in ((None, "cannot be read"), ("[]", "is no request"), ('{"messages": 5}', "messages")):
        path = tmp_path / "warm.json"
        if content is not None:
            path.write_text(content)
        done = run_kvern("serve", "--port", "0", "--model", fake("Hello."), "--cache-dir", tmp_path, "--warm", path)
        assert done.returncode == 2 and str(path) in done.stderr and what in done.stderr, done.stderr
