"""What one label may be, as requirements on it leave it: some values, all values but some, and whether it may be absent.

Labels are independent of each other, so every question about two selectors is answered key by key, in linear time.
"""

from typing import NamedTuple


class Values(NamedTuple):
    """The values of one key: those `listed`, or with `others` every value but those; and no label at all, if `absent`.

    Values of labels are short but countless: all but some are never none.
    """

    listed: frozenset[str]
    others: bool = False
    absent: bool = False

    def admits(self, value: str | None) -> bool:
        """Tell whether a label may be this value; None stands for no label."""
        if value is None:
            return self.absent
        return (value in self.listed) is not self.others

    @property
    def nothing(self) -> bool:
        """Tell whether neither a value nor absence is left."""
        return not (self.listed or self.others or self.absent)

    def meets(self, other: "Values") -> bool:
        """Tell whether some label, or its absence, is in both."""
        if self.absent and other.absent:
            return True
        if self.others:
            return other.others or not other.listed <= self.listed
        if other.others:
            return not self.listed <= other.listed
        return not self.listed.isdisjoint(other.listed)

    def within(self, other: "Values") -> bool:
        """Tell whether all that is in this is in the other."""
        if self.absent and not other.absent:
            return False
        if self.others:
            return other.others and other.listed <= self.listed
        if other.others:
            return self.listed.isdisjoint(other.listed)
        return self.listed <= other.listed

    def __and__(self, other: "Values") -> "Values":
        """Give what is in both."""
        absent = self.absent and other.absent
        if self.others and other.others:
            return Values(self.listed | other.listed, others=True, absent=absent)
        if self.others:
            return Values(other.listed - self.listed, absent=absent)
        if other.others:
            return Values(self.listed - other.listed, absent=absent)
        return Values(self.listed & other.listed, absent=absent)
