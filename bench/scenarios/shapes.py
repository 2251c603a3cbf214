"""The shapes of agent traffic, each as the few requests that make it. One server's life is enough for all.

A request with a step is what the scenario measures; those without prepare it.
"""

import copy
import json

from scenarios.talk import Skip
from scenarios.text import TOOLS, head, words


def exact_repeat(talk):
    chat = talk.opening()
    talk.ask(chat)
    talk.ask(chat, "again")


def next_user_turn(talk):
    chat = talk.turns(talk.opening(), 1)
    talk.turns(chat, 2, "next turn")


def tool_result_turn(talk):
    chat = talk.opening()
    message = talk.call(chat)
    talk.ask([*chat, message, *talk.results(message)], "result", tools=TOOLS)


def parallel_results_in_another_order(talk):
    chat = talk.opening()
    message = talk.call(chat, count=2)
    results = talk.results(message)
    in_order = [*chat, message, *results]
    talk.ask([*chat, message, *reversed(results)], "reversed", means=in_order, tools=TOOLS)
    talk.ask(in_order, "in order", tools=TOOLS)


def branch_at_the_last_message(talk):
    chat = talk.turns(talk.opening(), 2)
    talk.ask([*chat, talk.user(50)])
    talk.ask([*chat, talk.user(51)], "branch")


def edited_middle(talk):
    chat = talk.turns(talk.opening(), 3)
    edited = copy.deepcopy(chat)
    edited[3]["content"] += " Answer in one word."
    talk.ask([*edited, talk.user(60)], "edited")


def sub_agent_and_return(talk):
    parent = talk.turns(talk.opening(), 2)
    talk.turns([parent[0], talk.user(70)], 2, "sub-agent")
    talk.turns(parent, 1, "return")


def siblings_at_once(talk):
    shared = {"role": "system", "content": head(talk.size.head_words, 8)}
    talk.at_once([[shared, talk.user(80 + i)] for i in range(min(4, talk.subject.sequences))], "siblings")


def more_conversations_than_sequences(talk):
    chats = [talk.opening(number=i, seed=i % 2) for i in range(talk.subject.sequences + 2)]
    for round_ in range(2):
        chats = [talk.turns(chat, 1, "turn" if round_ else "") for chat in chats]


def changed_billing_header(talk):
    def with_header(checksum):
        line = f"x-anthropic-billing-header: cc_version=2.0.{checksum % 9}; cc_entrypoint=cli; cch={checksum:05x};"
        return [{"role": "system", "content": [{"type": "text", "text": line}, {"type": "text", "text": system}]}, *rest]

    first, *rest = talk.turns(talk.opening(), 1)
    system = first["content"]
    before = with_header(0xa1b2c)
    talk.ask([*before, talk.user(90)])
    talk.ask([*with_header(0x3d4e5), talk.user(90)], "changed", means=[*before, talk.user(90)])


def string_became_blocks(talk):
    chat = talk.turns(talk.opening(), 2) + [talk.user(100)]
    blocks = [message | {"content": [{"type": "text", "text": message["content"]}]} for message in chat]
    talk.ask(blocks, "blocks", means=chat)


def dropped_reasoning(talk):
    chat = talk.turns(talk.opening(), 1)
    if not chat[-1].get("reasoning_content"):
        raise Skip("the model does not reason")
    dropped = [*chat[:-1], {"role": "assistant", "content": chat[-1]["content"]}, talk.user(110)]
    talk.ask(dropped, "dropped", means=[*chat, talk.user(110)])


def with_arguments(message, change):
    changed = copy.deepcopy(message)
    for call in changed["tool_calls"]:
        call["function"]["arguments"] = change(json.loads(call["function"]["arguments"]))
    return changed


def sent_back_otherwise(talk, change, step):
    chat = talk.opening()
    message = talk.call(chat)
    rest = talk.results(message)
    talk.ask([*chat, with_arguments(message, change), *rest], step, means=[*chat, message, *rest], tools=TOOLS)


def reserialised_arguments(talk):
    sent_back_otherwise(talk, lambda arguments: json.dumps(dict(reversed(arguments.items())), indent=2), "spelled otherwise")


def coerced_arguments(talk):
    def change(arguments):
        return json.dumps({key: float(value) if isinstance(value, int) and abs(value) < 2**53 else value
                           for key, value in arguments.items()})

    sent_back_otherwise(talk, change, "numbers as floats")


def compaction(talk):
    chat = talk.turns(talk.opening(), 3)
    summary = {"role": "user", "content": f"So far: {words(talk.size.turn_words, 120)}. Go on with the next task."}
    talk.turns([chat[0], summary], 2, "compacted")


SHAPES = [
    exact_repeat, next_user_turn, tool_result_turn, parallel_results_in_another_order, branch_at_the_last_message,
    edited_middle, sub_agent_and_return, siblings_at_once, more_conversations_than_sequences, changed_billing_header,
    string_became_blocks, dropped_reasoning, reserialised_arguments, coerced_arguments, compaction,
]
