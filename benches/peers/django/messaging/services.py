import re

from django.db import transaction

from .models import Conversation, Event, Message, Notification, Participant


def mentioned(content, users):
    """The users whom "@username" in the content names: the longest that fits, ignoring case."""
    if "@" not in content:
        return set()
    by_name = {user.username.casefold(): user for user in users}
    names = "|".join(re.escape(name) for name in sorted(by_name, key=len, reverse=True))
    return {by_name[name] for name in re.findall(rf"(?<!\w)@({names})", content.casefold())}


@transaction.atomic
def send_message(*, conversation, sender, content, parent_message=None):
    # The lock is for the number. SQLite has none for rows: there the transaction is IMMEDIATE.
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    participants = list(conversation.participations.select_related("user"))
    others = [participant for participant in participants if participant.user_id != sender.pk]
    is_direct = conversation.kind == Conversation.Kind.DIRECT

    conversation.last_number += 1
    conversation.save(update_fields=["last_number"])
    message = Message.objects.create(
        conversation=conversation,
        number=conversation.last_number,
        sender=sender,
        receiver=others[0].user if is_direct else None,
        parent_message=parent_message,
        content=content,
    )

    mentions = mentioned(content, [participant.user for participant in participants])
    notifications = []
    for participant in others:
        if participant.user in mentions:
            kind = Notification.Kind.MENTION
        elif parent_message and parent_message.sender_id == participant.user_id:
            kind = Notification.Kind.REPLY
        else:
            kind = Notification.Kind.MESSAGE
        if participant.level == Participant.Level.ALL or (
            participant.level == Participant.Level.MENTIONS and kind != Notification.Kind.MESSAGE
        ):
            notifications.append(
                Notification(message=message, user=participant.user, kind=kind, created_at=message.timestamp)
            )
    Notification.objects.bulk_create(notifications)
    Event.objects.create(
        event="message.created", actor_id=sender.pk, conversation_id=conversation.pk, message_id=message.pk
    )
    return message
