"""What a person wrote cannot be used."""


class ConfigurationError(Exception):
    """Refused before any work; the message names file, line, value and what was expected."""
