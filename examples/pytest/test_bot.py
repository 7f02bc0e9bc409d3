import pytest

from bot import answer_mentions
from conftest import Refused


def replies_to(tidings, message):
    thread = tidings("message", "thread", message["message_id"])
    return [(reply["sender"]["username"], reply["content"]) for reply in thread[1:]]


def test_whoever_mentions_the_bot_gets_a_reply(tidings):
    asked = tidings("message", "send", "support", "@helper when does the ferry leave?", "--as", "alice")
    assert answer_mentions(tidings) == 1
    assert replies_to(tidings, asked) == [("helper", "The ferry leaves at noon.")]


def test_alice_is_notified_of_the_answer(tidings):
    tidings("message", "send", "support", "@helper what are your hours?", "--as", "alice")
    answer_mentions(tidings)
    [notification] = tidings("notifications", "list", "--unread", "--as", "alice")
    assert notification["kind"] == "reply"
    assert notification["message"]["content"] == "We are here from 9 to 5."


def test_what_does_not_concern_the_bot_is_left_alone(tidings):
    tidings("message", "send", "support", "Lunch, @bob?", "--as", "alice")
    assert answer_mentions(tidings) == 0


def test_everything_is_answered_once(tidings):
    asked = tidings("message", "send", "support", "@helper hello?", "--as", "bob")
    answer_mentions(tidings)
    # As if the bot had been stopped between answering and marking the message read.
    tidings("notifications", "unread", asked["message_id"], "--as", "helper")
    assert answer_mentions(tidings) == 1
    assert replies_to(tidings, asked) == [("helper", "I will ask a human.")]


def test_the_bot_does_not_change_what_others_said(tidings):
    with pytest.raises(Refused) as refused:
        tidings("message", "edit", "support#1", "spam", "--as", "helper")
    assert refused.value.code == 4  # forbidden
