"""What goes wrong in the lab, in words for the person who started it."""


class LabError(Exception):
    """Something that the lab needs is missing or failed; the message says what and how to mend it."""


class UnsupportedError(LabError):
    """This cluster or machine cannot do what was asked; another can."""
