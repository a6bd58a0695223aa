"""What the commands print, and where its lines end."""

from __future__ import annotations

import pytest

from esml.commands.messages import console

LINE = "word " * 60 + "end"


def test_lines_stay_whole_in_a_file_and_are_wrapped_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    console().print(LINE)
    assert capsys.readouterr().out == LINE + "\n"
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal
    monkeypatch.setenv("COLUMNS", "40")
    console().print(LINE)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
