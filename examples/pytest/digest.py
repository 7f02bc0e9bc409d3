"""A digest of what somebody has not read, over REST: what is tested here."""

import http.client
import json


class Problem(Exception):
    """What the server refused: `code` is for programs, the text for people."""

    def __init__(self, problem):
        super().__init__(problem["detail"])
        self.code = problem["code"]


class Client:
    """Asks as one user; without a token, as nobody."""

    def __init__(self, url, token=None):
        self.url = url
        self.token = token

    def ask(self, method, path, body=None, more_headers=()):
        headers = {"Content-Type": "application/json", **dict(more_headers)}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path.removeprefix(self.url), content, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        answer = json.loads(answer) if answer else None
        if response.status >= 400:
            raise Problem(answer)
        return answer

    def all(self, path):
        """All of a list, page by page: the link to the next one works whatever is written meanwhile."""
        while path:
            page = self.ask("GET", path)
            yield from page["results"]
            path = page["next"]


def digest(client):
    """What was not read yet, oldest first; from now on it counts as read."""
    unread = list(client.all("/api/messages/unread/?page_size=2"))
    client.ask("PATCH", "/api/messages/unread/", {"message_ids": [message["message_id"] for message in unread]})
    return [f"{message['sender']['username']}: {message['content']}" for message in reversed(unread)]
