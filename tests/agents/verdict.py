"""What a run must have been: the client content, the server never in error, no token computed twice."""

import json

from errands import ASIDE


def held(request):
    """Tokens a server holds after it: the last one was drawn, never computed."""
    return request["prompt"] + request["out"] - 1


def completed(text):
    return len(text.encode()) + 1  # one byte is one token of the fake engine; and the end


def main_requests(run):
    return [r for r in run.requests if r["out"] != completed(ASIDE)]


def check_run(house, run, errand, before=None):
    """One run of a client did this errand. before: the last request of the session that it resumed."""
    assert run.code == 0, run
    assert not house.server.log("refused"), f"{house.server.log('refused')}\n{run}"
    asked = main_requests(run)
    says = [step.say(house.client, house.place, house.dialect) for step in errand]
    assert [r["out"] for r in asked] == [completed(say) for say in says], f"not the errand's turns\n{run}"
    assert run.requests[-1] is asked[-1] or house.client.asks_after, f"a request after the final answer\n{run}"
    assert all(r["finish"] in ("stop", "tool_calls") for r in run.requests), run
    assert errand[-1].text in run.stdout, run
    resumes = before is not None
    for request in asked:
        if before is not None:
            least = held(before)
            if resumes and request is asked[0] and house.client.rewrites_on_resume:
                least = min(least, first_difference(house, request))
            twice = least - request["reused"]
            assert twice <= 0, f"{twice} tokens computed twice\n{house.why(request)}\n{run}"
        before = request
    return before


def first_difference(house, request):
    """Where its prompt parts from every one before it, in tokens. What lies ahead of that must be reused."""
    return json.loads(house.why(request, "--json"))["position"]
