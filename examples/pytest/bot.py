"""A bot that answers whoever mentions it: what is tested here."""

ANSWERS = {"hours": "We are here from 9 to 5.", "ferry": "The ferry leaves at noon."}


def answer_mentions(tidings):
    """Answers everything unread; returns how much that was."""
    unread = tidings("notifications", "list", "--unread", "--as", "helper")
    for notification in reversed(unread):  # they are listed newest first
        message = notification["message"]
        text = message["content"].lower()
        answer = next((answer for word, answer in ANSWERS.items() if word in text), "I will ask a human.")
        # The key makes the answer happen once, even where the bot is stopped before it has marked the message read.
        tidings(
            "message", "send", message["conversation"], answer, "--reply-to", message["message_id"],
            "--idempotency-key", f"answer-{message['message_id']}", "--as", "helper",
        )
        tidings("notifications", "read", message["message_id"], "--as", "helper")
    return len(unread)
