"""A journal keeps what it was given, whatever happens to the last line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from esml.jobs import Journal, JournalError, append_line, decode, encode

RUN = {"model": "a", "number of states": 3}


def kept(path: Path, n: int) -> None:
    """A journal of ``n`` entries, as a killed run leaves it."""
    with pytest.raises(KeyboardInterrupt), Journal(path, RUN, "esml predict") as journal:
        for k in range(n):
            journal.append({"k": k, "text": "ä\n" * k})
        raise KeyboardInterrupt


def entries(path: Path, restart: bool = False) -> list[int]:
    with pytest.raises(KeyboardInterrupt), Journal(path, RUN, "esml predict", restart) as journal:
        found = [entry["k"] for entry in journal.entries()]
        journal.append({"k": len(found)})
        raise KeyboardInterrupt
    return found


def test_a_line_is_json_with_its_checksum() -> None:
    line = encode({"key": "k", "values": [0.1, float("nan")]})
    assert list(json.loads(line)) == ["crc", "key", "values"]
    back = decode(line)
    assert back is not None
    assert back["values"][0] == 0.1
    for place in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            assert decode(bytes(flipped)) is None
        assert decode(line[:place]) is None


def test_what_is_whole_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    kept(path, 4)
    content = path.read_bytes()
    ends = np.cumsum([len(line) for line in content.splitlines(keepends=True)])
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        whole = max(0, int(np.searchsorted(ends, cut, side="right")) - 1)
        assert entries(path) == list(range(whole))
        # The line that was appended afterwards follows the last whole one.
        assert entries(path) == list(range(whole + 1))


def test_a_complete_run_leaves_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, RUN, "esml predict") as journal:
        journal.append({"k": 0})
        assert path.exists()
    assert not path.exists()
    kept(path, 0)
    assert not path.exists(), "nothing was kept"


def test_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    kept(path, 2)
    with pytest.raises(JournalError, match="a different model and number of states: expected the"):
        Journal(path, {"model": "b", "number of states": 4}, "esml predict")
    with pytest.raises(JournalError, match="is not a journal of esml generate"):
        Journal(path, RUN, "esml generate")
    assert entries(path) == [0, 1]
    assert entries(path, restart=True) == []


def test_a_line_follows_one_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_line(path, {"k": 0})
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:9])
    append_line(path, {"k": 1})
    append_line(path, {"k": 2})
    found = [decode(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert found == [{"k": 0}, None, {"k": 1}, {"k": 2}]
