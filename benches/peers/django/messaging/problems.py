from http import HTTPStatus

from rest_framework.exceptions import ValidationError
from rest_framework.views import exception_handler as default_handler

CODES = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported_media_type",
}


def exception_handler(exc, context):
    """Errors as problem documents (RFC 9457)."""
    response = default_handler(exc, context)
    if response is None:
        return None
    status = response.status_code
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": CODES.get(status)}
    if isinstance(exc, ValidationError):
        problem |= {"detail": "The request is not valid.", "errors": response.data}
    else:
        problem["detail"] = response.data["detail"]
    response.data = problem
    response.content_type = "application/problem+json"
    return response
