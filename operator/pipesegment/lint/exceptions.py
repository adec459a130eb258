"""The catalogue's part about exceptions and seals."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
    Entry(
        "PS801",
        "ExceptionIdle",
        "info",
        "An exception opens nothing",
        "It waits for approvals, its time is over, the class does not allow it, or nothing holds approvals to their authors. "
        "The stage reaches what it declares, and nothing more.",
        "The message says what is missing. Delete an exception that nobody needs any more.",
    ),
    Entry(
        "PS802",
        "ExceptionRefused",
        "warning",
        "The class does not allow what an exception asks for",
        "An approval is no way around the class: what it refuses to a stage it refuses to an exception. The entry stays closed, "
        "the others are open.",
        "Ask for something that the class allows, or have the platform team change the class.",
    ),
    Entry(
        "PS803",
        "StageSealed",
        "warning",
        "The other stage is sealed",
        "A SegmentException has cut that stage off: it reaches nothing and accepts nothing, whatever anybody declares.",
        "Have the seal lifted by those who may, once there is no reason for it any more.",
    ),
    Entry(
        "PS804",
        "ExceptionUnplaced",
        "warning",
        "There is no such stage",
        "An exception speaks of a stage by the names of its segment and its own. Where there is none it opens and seals nothing.",
        "Correct the names; a SegmentException is never changed, so ask anew.",
    ),
)
