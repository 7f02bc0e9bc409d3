import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Count, Exists, ExpressionWrapper, OuterRef, Subquery
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone


class User(AbstractUser):
    class Role(models.TextChoices):
        USER = "user"
        ADMIN = "admin"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(null=True, blank=True)
    role = models.CharField(max_length=10, choices=Role, default=Role.USER)

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("username"), name="user_username_unique"),
            models.UniqueConstraint(Lower("email"), name="user_email_unique"),
        ]


class Conversation(models.Model):
    class Kind(models.TextChoices):
        DIRECT = "direct"
        GROUP = "group"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=64, null=True, blank=True)
    title = models.CharField(max_length=200, null=True, blank=True)
    creator = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    participants = models.ManyToManyField(User, through="Participant", related_name="conversations")
    last_number = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="conversation_name_unique")]


class Participant(models.Model):
    class Level(models.TextChoices):
        ALL = "all"
        MENTIONS = "mentions"
        NONE = "none"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participations", db_index=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="participations")
    level = models.CharField(max_length=10, choices=Level, default=Level.ALL)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="participant_unique")]


class MessageQuerySet(models.QuerySet):
    def with_details(self):
        """Adds what MessageSerializer shows besides the row, without a query for each message."""
        replies = Message.objects.filter(parent_message=OuterRef("pk")).order_by().values("parent_message")
        notifications = Notification.objects.filter(message=OuterRef("pk"))
        return self.select_related("sender", "receiver").annotate(
            reply_count=Coalesce(Subquery(replies.annotate(count=Count("pk")).values("count")), 0),
            read=ExpressionWrapper(
                Exists(notifications) & ~Exists(notifications.filter(is_read=False)),
                output_field=models.BooleanField(),
            ),
        )


class Message(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages", db_index=False)
    number = models.PositiveIntegerField()
    sender = models.ForeignKey(User, models.CASCADE, null=True, related_name="sent_messages")
    receiver = models.ForeignKey(User, models.CASCADE, null=True, related_name="received_messages")
    parent_message = models.ForeignKey("self", models.PROTECT, null=True, related_name="replies")
    content = models.TextField()
    timestamp = models.DateTimeField(default=timezone.now)
    edited = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1)
    deleted = models.BooleanField(default=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["conversation", "number"], name="message_number_unique")]


class Revision(models.Model):
    message = models.ForeignKey(Message, models.CASCADE, related_name="revisions", db_index=False)
    revision = models.PositiveIntegerField()
    content = models.TextField()
    edited_at = models.DateTimeField(default=timezone.now)
    edited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    reason = models.TextField(null=True, blank=True)

    class Meta:
        ordering = ["-revision"]
        constraints = [models.UniqueConstraint(fields=["message", "revision"], name="revision_unique")]


class Notification(models.Model):
    class Kind(models.TextChoices):
        MENTION = "mention"
        REPLY = "reply"
        MESSAGE = "message"

    message = models.ForeignKey(Message, models.CASCADE, related_name="notifications", db_index=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="notifications", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind)
    is_read = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["message", "user"], name="notification_unique")]
        indexes = [models.Index(fields=["user", "-created_at", "-id"], name="notification_newest")]


class Event(models.Model):
    """The log of what happened: keys only, which outlive what they name."""

    event = models.CharField(max_length=30)
    actor_id = models.UUIDField(null=True)
    conversation_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
