"""Pod selectors as the API writes them. `facts.selectors` gives them their meaning."""

from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Rule, unless
from pipesegment.spec.units import LabelKey, Labels, LabelValue, size

_WITH_VALUES = frozenset({"In", "NotIn"})


class Expression(Model):
    """One requirement on a label."""

    key: LabelKey = Field(description="The label that the requirement is about.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="In and NotIn compare with values; Exists and DoesNotExist ask for the label alone."
    )
    values: Annotated[tuple[LabelValue, ...], size(64)] = Field(
        (), description="The values that In and NotIn compare with; none for Exists and DoesNotExist."
    )

    rules = (
        Rule(
            cel="!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
            problem="is empty, but In and NotIn compare with values",
            fix="list at least one value, or use Exists or DoesNotExist",
            offences=unless(lambda e: e.operator not in _WITH_VALUES or e.values, "values", value=lambda e: e.operator),
            field=".values",
        ),
        Rule(
            cel="self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
            problem="has values, but Exists and DoesNotExist take none",
            fix="remove the values, or use In or NotIn",
            offences=unless(lambda e: e.operator in _WITH_VALUES or not e.values, "values"),
            field=".values",
        ),
    )


class LabelSelector(Model):
    """Labels that an object must carry; matchLabels and matchExpressions must all hold. Empty selects everything."""

    match_labels: Labels = Field({}, description="Labels that must be present with exactly these values.")
    match_expressions: Annotated[tuple[Expression, ...], size(16)] = Field(
        (), description="Requirements on labels, all of which must hold."
    )


class PodSelector(LabelSelector):
    """A label selector that says something: an empty one would select every pod of the namespace."""

    rules = (
        Rule(
            cel="(has(self.matchLabels) && size(self.matchLabels) > 0)"
            " || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
            problem="selects every pod",
            fix="give matchLabels or matchExpressions that name the pods",
            offences=unless(lambda s: s.match_labels or s.match_expressions),
        ),
    )
