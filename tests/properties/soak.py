"""How many examples a property is tried with: those of every run, or twenty times as many where there is time (`make soak`)."""

from typing import Final

from hypothesis import settings

#: The profile that tests/conftest.py registers for it.
PROFILE: Final = "soak"
_TIMES: Final = 20

_SOAKING: Final = settings.get_current_profile_name() == PROFILE


def examples(number: int) -> int:
    """Give the number of examples of this run."""
    return number * _TIMES if _SOAKING else number
