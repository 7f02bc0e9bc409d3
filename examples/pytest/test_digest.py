import pytest

from digest import Client, Problem, digest


@pytest.fixture(scope="module")
def busy(server):
    """What all tests of this file begin with: noted once, and returned to before each."""
    alice = Client(server["url"], server["tokens"]["alice"])
    [support] = alice.all("/api/conversations/")
    messages = f"/api/conversations/{support['conversation_id']}/messages/"
    for number in range(1, 6):
        alice.ask("POST", messages, {"content": f"Ticket {number}"})
    Client(server["url"]).ask("POST", "/test/checkpoint", more_headers={"Tidings-Test": "1"})
    return messages


@pytest.fixture
def people(server, busy):
    """A client for each user."""
    Client(server["url"]).ask("POST", "/test/rollback", more_headers={"Tidings-Test": "1"})
    return {name: Client(server["url"], token) for name, token in server["tokens"].items()}


def test_a_digest_holds_everything_unread_whatever_the_size_of_a_page(people):
    assert digest(people["bob"]) == [f"alice: Ticket {number}" for number in range(1, 6)]


def test_what_was_in_a_digest_is_not_in_the_next_one(people, busy):
    digest(people["bob"])
    people["alice"].ask("POST", busy, {"content": "Ticket 6"})
    assert digest(people["bob"]) == ["alice: Ticket 6"]


def test_what_its_author_deleted_is_in_no_digest(people, busy):
    newest = next(people["alice"].all(busy))
    people["alice"].ask("DELETE", f"/api/messages/{newest['message_id']}/")
    assert digest(people["bob"])[-1] == "alice: Ticket 4"


def test_without_a_token_there_is_no_digest(server):
    with pytest.raises(Problem) as refused:
        digest(Client(server["url"]))
    assert refused.value.code == "unauthenticated"
