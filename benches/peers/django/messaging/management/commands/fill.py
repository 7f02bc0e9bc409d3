import json
import random
from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from messaging.models import Conversation, Message, Notification, Participant, User

PASSWORD = "correct horse battery"
TOKEN_LIFETIME = timedelta(days=365)
UNREAD = 50  # of each conversation's messages, the newest
BATCH = 10_000
WORDS = (
    "about after again always answer because before better between bring call change close come could day done every "
    "find first give good great hand help here home house keep know last later leave letter light little long look make "
    "meeting might money month morning never next night office often open other paper people place plan please point "
    "question really right room same send should since small some soon start still talk tell than thank that them then "
    "there they thing think this time today together tomorrow under until very wait walk want water week well went what "
    "when where which while will with without word work would write year yesterday"
).split()


class Command(BaseCommand):
    help = "Fills an empty database; prints the conversations, each with one participant and an access token."

    def add_arguments(self, parser):
        parser.add_argument("--users", type=int, default=1000)
        parser.add_argument("--conversations", type=int, default=500, help="each of two users, at most half as many")
        parser.add_argument("--messages", type=int, default=100_000, help="shared out evenly among the conversations")
        parser.add_argument("--kind", choices=Conversation.Kind.values, default=Conversation.Kind.GROUP)

    def handle(self, *, users, conversations, messages, kind, **options):
        if not 1 <= conversations <= users // 2:
            raise CommandError("there must be two users for each conversation")
        self.chance = random.Random(1)
        self.start = timezone.now() - timedelta(seconds=messages)

        password = make_password(PASSWORD)
        users = User.objects.bulk_create(
            User(username=f"user{n}", password=password) for n in range(1, users + 1)
        )
        pairs = list(zip(users[::2], users[1::2]))[:conversations]
        conversations = Conversation.objects.bulk_create(
            Conversation(
                kind=kind,
                name=f"room{n + 1}" if kind == Conversation.Kind.GROUP else None,
                creator=pair[0],
                last_number=len(range(n, messages, conversations)),
                created_at=self.start,
            )
            for n, pair in enumerate(pairs)
        )
        Participant.objects.bulk_create(
            Participant(conversation=conversation, user=user)
            for conversation, pair in zip(conversations, pairs)
            for user in pair
        )
        for first in range(0, messages, BATCH):
            self.send(range(first, min(first + BATCH, messages)), conversations, pairs)

        world = []
        for conversation, (user, _) in zip(conversations, pairs):
            access = AccessToken.for_user(user)
            access.set_exp(lifetime=TOKEN_LIFETIME)
            world.append({"id": str(conversation.pk), "username": user.username, "access": str(access)})
        self.stdout.write(json.dumps({"conversations": world}))

    def send(self, batch, conversations, pairs):
        """The two of a conversation take turns, and the conversations do."""
        messages, notifications = [], []
        for n in batch:
            round_, which = divmod(n, len(conversations))
            conversation = conversations[which]
            sender, other = pairs[which] if round_ % 2 == 0 else reversed(pairs[which])
            message = Message(
                conversation=conversation,
                number=round_ + 1,
                sender=sender,
                receiver=other if conversation.kind == Conversation.Kind.DIRECT else None,
                content=" ".join(self.chance.choices(WORDS, k=self.chance.randint(9, 12))),
                timestamp=self.start + timedelta(seconds=n),
            )
            messages.append(message)
            notifications.append(
                Notification(
                    message=message,
                    user=other,
                    kind=Notification.Kind.MESSAGE,
                    is_read=message.number <= conversation.last_number - UNREAD,
                    created_at=message.timestamp,
                )
            )
        Message.objects.bulk_create(messages)
        Notification.objects.bulk_create(notifications)
