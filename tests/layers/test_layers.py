"""The layer rule holds in this tree, and the checker would notice if it did not."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import layers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def test_every_include_follows_the_picture():
    wrong, count = layers.check_tree(ROOT)
    assert count > 50, "the sources were not found"
    assert wrong == [], "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "path, include",
    [
        ("src/base/log.cc", '"core/event.h"'),
        ("src/core/event.h", '"engine/engine.h"'),
        ("src/http/server.cc", '"core/event.h"'),
        ("src/http/server.cc", '"api/frame.h"'),
        ("src/api/models.cc", '"http/server.h"'),
        ("src/api/models.cc", '"chat/renderer.h"'),
        ("src/constrain/constraint.cc", '"chat/renderer.h"'),
        ("src/engine/fake/fake_engine.cc", '"cache/prefix_tree.h"'),
        ("src/cache/prefix_tree.cc", '"engine/fake/fake_engine.h"'),
        ("src/cache/prefix_tree.cc", '"schedule/scheduler.h"'),
        ("src/schedule/scheduler.cc", '"chat/renderer.h"'),
        ("src/schedule/scheduler.cc", '"engine/llama/llama_engine.h"'),
        ("src/app/serve.cc", "<boost/asio.hpp>"),
        ("src/app/serve.cc", '"llama.h"'),
        ("src/engine/engine.h", "<llama.h>"),
        ("src/chat/renderer.cc", '"llguidance.h"'),
        ("src/app/serve.cc", '"kvern_rust.h"'),
        ("src/chat/renderer.cc", '"jinja/runtime.h"'),
        ("src/app/serve.cc", "<CLI/CLI.hpp>"),
        ("src/api/models.cc", '"../core/event.h"'),
        ("src/newmodule/thing.cc", '"base/log.h"'),
    ],
)
def test_a_forbidden_edge_is_found(path, include):
    assert layers.check_text(path, f"// a comment\n#include {include}\n")


@pytest.mark.parametrize(
    "path, include",
    [
        ("src/chat/renderer.cc", '"constrain/schema.h"'),
        ("src/cache/prefix_tree.cc", '"engine/engine.h"'),
        ("src/schedule/scheduler.cc", '"cache/prefix_tree.h"'),
        ("src/schedule/scheduler_test.cc", '"engine/fake/fake_engine.h"'),
        ("src/cli/flags.cc", "<CLI/CLI.hpp>"),
        ("src/engine/llama/llama_engine.cc", "<llama.h>"),
        ("src/http/server.cc", "<boost/asio.hpp>"),
        ("src/app/serve.cc", '"engine/llama/llama_engine.h"'),
        ("src/api/models.cc", "<vector>"),
    ],
)
def test_an_allowed_edge_is_left_alone(path, include):
    assert layers.check_text(path, f"#include {include}\n") == []


def test_a_file_that_grew_too_long_is_found():
    assert layers.check_text("src/base/log.cc", "\n" * (layers.LINES_MAX + 1))
    assert not layers.check_text("src/base/log.cc", "\n" * layers.LINES_MAX)
