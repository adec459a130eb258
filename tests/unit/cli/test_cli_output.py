"""Output: plain and aligned when piped, painted on a terminal, and a word when something takes long."""

import threading

import pytest

from pipesegment.cli import output


def test_piped_tables_are_aligned_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_table(["A", "LONGER"], [["error", "x"], ["b", ""]])

    assert capsys.readouterr().out == "A       LONGER\nerror   x\nb\n"


def test_tables_on_a_terminal_keep_what_users_wrote(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_on_terminal", lambda _: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    output.write_table(["A", "B"], [["error", "[bold]not markup[/bold]"]])

    text = capsys.readouterr().out
    assert "[bold]not markup[/bold]" in text
    assert "\x1b[1;31merror" in text


def test_what_takes_long_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        said.set()

    monkeypatch.setattr(output, "_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(output, "say", say)

    with output.progress("counting"):
        assert said.wait(5)

    assert told == ["counting…"]


def test_what_is_quick_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("counting"):
        pass

    assert capsys.readouterr() == ("", "")
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer) and not t.finished.is_set()]


def test_on_a_terminal_a_spinner_turns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(output, "_on_terminal", lambda _: True)
    monkeypatch.setenv("FORCE_COLOR", "1")

    with output.progress("counting"):
        pass

    assert "counting…" in capsys.readouterr().err
