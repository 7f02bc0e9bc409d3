from rest_framework import serializers
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer

from .models import Message, Notification, User
from .services import send_message

MAX_CONTENT_BYTES = 65_536


class UserRefSerializer(serializers.ModelSerializer):
    user_id = serializers.UUIDField(source="id")

    class Meta:
        model = User
        fields = ["user_id", "username", "first_name", "last_name"]


class UserSerializer(UserRefSerializer):
    created_at = serializers.DateTimeField(source="date_joined")

    class Meta(UserRefSerializer.Meta):
        fields = [*UserRefSerializer.Meta.fields, "email", "role", "is_active", "created_at"]


class TokenSerializer(TokenObtainPairSerializer):
    def validate(self, attrs):
        tokens = super().validate(attrs)
        return {"access": tokens["access"], "refresh": tokens["refresh"], "user": UserSerializer(self.user).data}


class MessageSerializer(serializers.ModelSerializer):
    message_id = serializers.UUIDField(source="id", read_only=True)
    sender = UserRefSerializer(read_only=True)
    receiver = UserRefSerializer(read_only=True)
    content = serializers.CharField(trim_whitespace=False)
    # Annotated by MessageQuerySet.with_details; a new message has neither replies nor readers.
    is_thread = serializers.BooleanField(source="reply_count", read_only=True, default=False)
    reply_count = serializers.IntegerField(read_only=True, default=0)
    read = serializers.BooleanField(read_only=True, default=False)

    class Meta:
        model = Message
        fields = [
            "message_id",
            "conversation",
            "number",
            "sender",
            "receiver",
            "content",
            "timestamp",
            "edited",
            "revision",
            "parent_message",
            "is_thread",
            "reply_count",
            "read",
            "deleted",
        ]
        read_only_fields = ["conversation", "number", "timestamp", "edited", "revision", "deleted"]

    def validate_content(self, content):
        if not content.strip():
            raise serializers.ValidationError("The message is blank.")
        if len(content.encode()) > MAX_CONTENT_BYTES:
            raise serializers.ValidationError(f"The message is longer than {MAX_CONTENT_BYTES} bytes.")
        return content

    def validate_parent_message(self, parent):
        if parent and (parent.deleted or parent.conversation_id != self.context["view"].conversation.pk):
            raise serializers.ValidationError("There is no such message in this conversation.")
        return parent

    def create(self, validated_data):
        return send_message(**validated_data)


class NotificationSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="message_id")
    message = MessageSerializer()

    class Meta:
        model = Notification
        fields = ["id", "user", "message", "kind", "is_read", "created_at"]
