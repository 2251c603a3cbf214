"""Says whether a finished call is what its schema wants, by Python's jsonschema and the schema's own draft."""

import datetime
import decimal
import ipaddress
import json
import re

import jsonschema
import referencing
from jsonschema.validators import validator_for

from schemas import SCHEMAS, UNJUDGED, exact

FORMATS = jsonschema.FormatChecker(formats=("date", "ipv4", "uuid", "email"))


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value):
    """Python knows no leap second, RFC 3339 does."""
    if isinstance(value, str):
        datetime.datetime.fromisoformat(value.upper().replace(":60", ":59"))
        return "T" in value.upper()
    return True


@FORMATS.checks("time", raises=ValueError)
def is_time(value):
    if isinstance(value, str):
        datetime.time.fromisoformat(value.upper().replace(":60", ":59"))
    return True


@FORMATS.checks("ipv6", raises=ValueError)
def is_ipv6(value):
    """Without a zone, which Python takes and the RFC does not."""
    return not isinstance(value, str) or ("%" not in value and bool(ipaddress.IPv6Address(value)))


@FORMATS.checks("hostname")
def is_hostname(value):
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    return not isinstance(value, str) or bool(re.fullmatch(rf"{label}(\.{label})*", value))


@FORMATS.checks("duration")
def is_duration(value):
    parts = r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)"
    return not isinstance(value, str) or bool(re.fullmatch(parts, value))


@FORMATS.checks("uri")
def is_uri(value):
    return not isinstance(value, str) or bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]*", value))


def checker(schema):
    schema = exact(json.dumps(schema))
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    # An empty registry: nothing is fetched.
    return kind(schema, format_checker=FORMATS, registry=referencing.Registry())


CHECKERS = {name: checker(schema) for name, schema in SCHEMAS.items() if name not in UNJUDGED}


def invalid(name, arguments):
    """What is wrong with the arguments' text; None when nothing is, as far as Python can tell."""
    try:
        value = exact(arguments)
    except ValueError as e:
        return f"no JSON: {e}"
    if not isinstance(value, dict):
        return "no object"
    return refused(CHECKERS[name], value) if name in CHECKERS else None


def refused(validator, value):
    with decimal.localcontext(prec=2000):
        try:
            validator.validate(value)
        except jsonschema.ValidationError as e:
            return f"/{'/'.join(map(str, e.absolute_path))}: {e.message}"[:200]
    return None
