"""Twenty tools as agents send them: enums, nested objects, lists, ranges, patterns, null, formats, const, $ref.

Each with a request that wants it. Strings have a maxLength only where real ones do.
"""

TOOLS = []
REQUESTS = {}


def tool(name, request, properties, required=None, **schema):
    parameters = {"type": "object", "properties": properties, "required": list(properties) if required is None else required}
    TOOLS.append({"type": "function", "function": {"name": name, "description": request, "parameters": parameters | schema}})
    REQUESTS[name] = request


STRING = {"type": "string"}
PATH = {"type": "string", "description": "Absolute path"}

tool("Read", "Read the first 50 lines of /etc/hosts.",
     {"file_path": PATH, "offset": {"type": "integer", "minimum": 0}, "limit": {"type": "integer", "minimum": 1, "maximum": 2000}},
     required=["file_path"], additionalProperties=False)

tool("Edit", "Rename foo to bar in /src/main.py.",
     {"file_path": PATH, "old_string": STRING, "new_string": STRING, "replace_all": {"type": "boolean", "default": False}},
     required=["file_path", "old_string", "new_string"], additionalProperties=False)

tool("Bash", "List the files here.",
     {"command": {"type": "string", "minLength": 1}, "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 600},
      "run_in_background": {"type": "boolean"}},
     required=["command"])

tool("Grep", "Find TODO in all C++ files.",
     {"pattern": STRING, "path": STRING, "output_mode": {"enum": ["content", "files_with_matches", "count"]},
      "-i": {"type": "boolean"}, "-C": {"type": "integer", "minimum": 0, "maximum": 20}},
     required=["pattern", "output_mode"], additionalProperties=False)

tool("TodoWrite", "Plan the next three steps of this task.",
     {"todos": {"type": "array", "minItems": 1, "maxItems": 4, "items": {
         "type": "object", "properties": {"content": {"type": "string", "minLength": 1, "maxLength": 60},
                                          "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                                          "id": {"type": "string", "pattern": "^[a-z0-9]{1,8}$"}},
         "required": ["content", "status", "id"], "additionalProperties": False}}},
     additionalProperties=False)

tool("get_weather", "What is the weather in Paris, in Celsius?",
     {"location": STRING, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, required=["location", "unit"])

tool("create_event", "Put lunch with Ann on my calendar for the first of May.",
     {"title": {"type": "string", "maxLength": 80}, "date": {"type": "string", "format": "date"},
      "start": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
      "attendees": {"type": "array", "items": {"type": "string", "format": "email", "maxLength": 60}, "maxItems": 3},
      "repeat": {"anyOf": [{"type": "null"}, {"enum": ["daily", "weekly"]}]}},
     additionalProperties=False)

tool("search_flights", "Find a flight from Berlin to Oslo for two.",
     {"from": {"$ref": "#/$defs/airport"}, "to": {"$ref": "#/$defs/airport"},
      "passengers": {"type": "integer", "minimum": 1, "maximum": 9}, "cabin": {"enum": ["economy", "business", "first"]},
      "max_price": {"type": ["number", "null"]}},
     **{"$defs": {"airport": {"type": "string", "pattern": "^[A-Z]{3}$"}}}, additionalProperties=False)

tool("http_request", "Fetch https://example.com with a header.",
     {"method": {"enum": ["GET", "POST", "PUT", "DELETE"]}, "url": {"type": "string", "pattern": "^https?://[a-z.]+(/[a-z0-9/]*)?$"},
      "headers": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 40}, "maxProperties": 3},
      "retries": {"type": "integer", "enum": [0, 1, 3]}},
     required=["method", "url"], additionalProperties=False)

tool("transfer_money", "Send 20 euros to Bob.",
     {"amount": {"type": "number", "minimum": 0.01, "maximum": 10000}, "currency": {"const": "EUR"},
      "iban": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{20}$"}, "reference": {"type": "string", "maxLength": 35}},
     required=["amount", "currency", "iban"], additionalProperties=False)

tool("draw", "Draw a red circle and a line.",
     {"shapes": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"anyOf": [
         {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0, "maximum": 100}},
          "required": ["kind", "radius"], "additionalProperties": False},
         {"type": "object", "properties": {"kind": {"const": "line"}, "to": {"type": "array", "items": {"type": "integer"},
                                                                              "minItems": 2, "maxItems": 2}},
          "required": ["kind", "to"], "additionalProperties": False}]}},
      "color": {"type": "string", "pattern": "^#[0-9a-f]{6}$"}})

tool("sql_query", "How many users signed up this year?",
     {"query": {"type": "string", "maxLength": 200}, "parameters": {"type": "array", "items": {"type": ["string", "integer", "boolean", "null"], "maxLength": 20},
                                                                    "maxItems": 3},
      "read_only": {"const": True}},
     required=["query", "read_only"], additionalProperties=False)

tool("set_thermostat", "Make it 21 degrees in the bedroom tonight.",
     {"room": {"enum": ["kitchen", "bedroom", "bath"]}, "celsius": {"type": "integer", "minimum": 5, "maximum": 30},
      "until": {"type": "string", "format": "date-time"}, "fan": {"type": "boolean"}},
     required=["room", "celsius", "until"], additionalProperties=False)

tool("order_pizza", "Order a large pizza with olives.",
     {"size": {"type": "string", "enum": ["S", "M", "L", "XL"]}, "toppings": {"type": "array", "items": {"enum": ["olives", "ham", "corn", "onion"]}, "maxItems": 4},
      "address": {"type": "object", "properties": {"street": {"type": "string", "maxLength": 40}, "number": {"type": "integer", "minimum": 1, "maximum": 9999},
                                                   "zip": {"type": "string", "pattern": "^\\d{5}$"}},
                  "required": ["street", "number", "zip"], "additionalProperties": False}},
     additionalProperties=False)

tool("add_host", "Add the server web1 to the inventory.",
     {"name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,14}$"}, "address": {"type": "string", "format": "ipv4"},
      "ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}, "minItems": 1, "maxItems": 3},
      "id": {"type": "string", "format": "uuid"}},
     additionalProperties=False)

tool("translate", "Translate good morning to French and German.",
     {"text": STRING, "to": {"type": "array", "items": {"enum": ["fr", "de", "es"]}, "minItems": 1, "maxItems": 3},
      "formality": {"type": ["string", "null"], "enum": ["formal", "informal", None]}},
     additionalProperties=False)

tool("folder_tree", "Make a folder src with a folder lib in it.",
     {"root": {"$ref": "#/definitions/folder"}},
     definitions={"name": {"type": "string", "pattern": "^[a-z0-9_.]{1,12}$"},
                  "file": {"type": "object", "properties": {"name": {"$ref": "#/definitions/name"}, "bytes": {"type": "integer", "minimum": 0, "maximum": 1000000}},
                           "required": ["name"], "additionalProperties": False},
                  "folder": {"type": "object", "properties": {"name": {"$ref": "#/definitions/name"},
                                                              "files": {"type": "array", "items": {"$ref": "#/definitions/file"}, "maxItems": 3}},
                             "required": ["name"], "additionalProperties": False}})

tool("schedule_job", "Run the backup every night at two.",
     {"job": {"allOf": [{"type": "string"}, {"enum": ["backup", "report"]}]},
      "when": {"oneOf": [{"type": "object", "properties": {"cron": {"type": "string", "pattern": "^([0-9*]{1,2} ){4}[0-9*]{1,2}$"}}, "required": ["cron"],
                          "additionalProperties": False},
                         {"type": "object", "properties": {"every_minutes": {"type": "integer", "minimum": 1, "maximum": 1440}},
                          "required": ["every_minutes"], "additionalProperties": False}]},
      "enabled": {"type": "boolean"}},
     additionalProperties=False)

tool("log_metric", "Record a CPU load of 0.75 for host web1.",
     {"name": {"enum": ["cpu", "memory", "disk"]}, "value": {"type": "number", "minimum": 0, "maximum": 1},
      "labels": {"type": "object", "properties": {"host": {"type": "string", "maxLength": 20}}, "required": ["host"],
                 "additionalProperties": {"type": "string", "maxLength": 20}, "maxProperties": 3},
      "samples": {"type": "array", "items": {"type": "array", "prefixItems": [{"type": "integer", "minimum": 0}, {"type": "number"}],
                                             "items": False, "minItems": 2}, "maxItems": 2}},
     required=["name", "value", "labels"], additionalProperties=False)

tool("finish", "We are done.", {"ok": {"type": "boolean"}, "exit_code": {"type": "integer", "minimum": -128, "maximum": 127},
                                "summary": {"type": ["string", "null"], "maxLength": 100}},
     required=["ok", "exit_code", "summary"], additionalProperties=False)

SCHEMAS = {entry["function"]["name"]: entry["function"]["parameters"] for entry in TOOLS}
assert len(TOOLS) == 20
