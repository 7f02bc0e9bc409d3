from django.contrib.auth.hashers import Argon2PasswordHasher


class OwaspArgon2PasswordHasher(Argon2PasswordHasher):
    """With OWASP's parameters, which tidings has too; Django's own (100 MiB, 8 lanes) cost several times as much."""

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1
