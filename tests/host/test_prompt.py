"""`viperip sim -i` at a terminal: Ctrl-C belongs to the prompt, Ctrl-D ends it."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.host.command import VIPERIP, alive
from tests.host.terminal import Terminal

PROMPT = b">>> "
CTRL_C, CTRL_D = b"\x03", b"\x04"


@pytest.fixture
def prompt() -> Iterator[Terminal]:
    terminal = Terminal(*VIPERIP, "sim", "-i")
    try:
        terminal.expect(PROMPT)
        yield terminal
    finally:
        terminal.close()


def test_a_line_is_run(prompt: Terminal) -> None:
    prompt.type(b"print('answer', 6 * 7)\r")
    prompt.expect(b"answer 42")
    prompt.expect(PROMPT)


def test_ctrl_c_ends_the_command_and_not_the_prompt(prompt: Terminal) -> None:
    prompt.type(b"import time\r")
    prompt.expect(PROMPT)
    prompt.type(b"print('wait' + 'ing'); time.sleep(60)\r")
    prompt.expect(b"waiting")
    prompt.type(CTRL_C)
    prompt.expect(b"KeyboardInterrupt")
    prompt.expect(PROMPT)
    prompt.type(b"print('still', 'here')\r")
    prompt.expect(b"still here")


def test_ctrl_c_at_the_prompt_forgets_the_line(prompt: Terminal) -> None:
    prompt.type(b"print('half'")
    prompt.expect(b"half")
    prompt.type(CTRL_C)
    prompt.expect(PROMPT)
    assert b"KeyboardInterrupt" in prompt.seen
    assert b"Traceback" not in prompt.seen


def test_ctrl_d_ends_it_with_0(prompt: Terminal) -> None:
    prompt.type(CTRL_D)
    assert prompt.status() == 0


def test_sigterm_ends_it(prompt: Terminal) -> None:
    pid = prompt.pid
    os.kill(pid, signal.SIGTERM)
    assert prompt.status() == 128 + signal.SIGTERM
    assert not alive(pid)
