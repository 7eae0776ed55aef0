"""The journal in a file keeps messages over a restart of the program."""

from pathlib import Path

from parley_client.journal import FileJournal


def entry(client_id: str) -> dict[str, str]:
    return {"receiverId": "bob", "content": "Ahoy \n \u2028 ☸", "clientId": client_id}


def test_messages_without_an_outcome_are_there_after_a_restart(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal")
    assert list(journal.entries()) == []
    for client_id in "abc":
        journal.add(entry(client_id))
    journal.remove("b")
    assert list(FileJournal(tmp_path / "journal").entries()) == [entry("a"), entry("c")]


def test_what_is_over_leaves_the_file_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = FileJournal(path)
    journal.add(entry("a"))
    journal.remove("a")
    assert list(FileJournal(path).entries()) == []
    assert path.read_bytes() == b""


def test_a_line_that_was_cut_off_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = FileJournal(path)
    journal.add(entry("a"))
    first = path.read_bytes()
    journal.add(entry("b"))
    both = path.read_bytes()
    for length in range(len(first), len(both) - 1, 9):
        path.write_bytes(both[:length])
        assert list(FileJournal(path).entries()) == [entry("a")]


def test_a_line_after_one_that_was_cut_off_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"clientId": "a", "cont')
    journal = FileJournal(path)
    list(journal.entries())
    journal.add(entry("b"))
    assert list(FileJournal(path).entries()) == [entry("b")]
