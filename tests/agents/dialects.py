"""How a model of each dialect writes tool calls: what the fake engine is told to say."""

import json


def hermes(name, arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


def qwen3_coder(name, arguments):
    def text(value):
        return value if isinstance(value, str) else json.dumps(value)

    parameters = "".join(f"<parameter={key}>\n{text(value)}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"


def llama3(name, arguments):
    return json.dumps({"name": name, "parameters": arguments})


WRITERS = {"hermes": hermes, "qwen3-coder": qwen3_coder, "llama3": llama3}


def said(dialect, text, calls):
    """A turn as the model writes it: words, then its calls."""
    return "\n".join([*([text] if text else []), *(WRITERS[dialect](name, arguments) for name, arguments in calls)])
