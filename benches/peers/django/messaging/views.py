from django.db.models import Prefetch
from rest_framework import generics

from .models import Message
from .serializers import MessageSerializer, NotificationSerializer


class MessageList(generics.ListCreateAPIView):
    serializer_class = MessageSerializer

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self.conversation = generics.get_object_or_404(request.user.conversations, pk=kwargs["conversation_id"])

    def get_queryset(self):
        return self.conversation.messages.with_details()

    def perform_create(self, serializer):
        serializer.save(conversation=self.conversation, sender=self.request.user)


class NotificationList(generics.ListAPIView):
    serializer_class = NotificationSerializer

    def get_queryset(self):
        messages = Prefetch("message", queryset=Message.objects.with_details())
        return self.request.user.notifications.prefetch_related(messages)
