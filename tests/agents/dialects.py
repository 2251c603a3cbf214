"""How a model of each dialect writes a turn: what the fake engine is told to say."""

import json


def hermes(text, calls):
    return lines(text, [f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'
                        for name, arguments in calls])


def qwen3_coder(text, calls):
    def call(name, arguments):
        parameters = "".join(f"<parameter={key}>\n{plain(value)}\n</parameter>\n" for key, value in arguments.items())
        return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"

    return lines(text, [call(*one) for one in calls])


def glm(text, calls):
    def call(name, arguments):
        pairs = "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{plain(value)}</arg_value>\n"
                        for key, value in arguments.items())
        return f"<tool_call>{name}\n{pairs}</tool_call>"

    return lines(text, [call(*one) for one in calls])


def lines(text, calls):
    return "\n".join([*([text] if text else []), *calls])


def plain(value):
    return value if isinstance(value, str) else json.dumps(value)


WRITERS = {"hermes": hermes, "qwen3-coder": qwen3_coder, "glm-4.5": glm}


def said(dialect, text, calls):
    """A turn as the model writes it: words, then its calls."""
    return WRITERS[dialect](text, calls)
