# ruff: noqa: SLF001 - the table of actions names the class's own methods
"""The in-memory twin of AWS: the same door as `Aws`, for tests of everything behind it.

It keeps what matters to us of IAM's and EKS' ways: names that are taken, tags and boundaries, inline and attached policies,
roles that cannot be deleted while they hold some. It does not validate documents or authorize anybody.
"""

import asyncio
import copy
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from pipesegment.errors import Rejected
from pipesegment.plan.aws.steps import Call
from pipesegment.world.aws.port import Answer, Place

_READS: Final = ("Get", "List", "Describe")


@dataclass(slots=True)
class MemoryRole:
    """A role as IAM keeps it."""

    raw: dict[str, Any]
    inline: dict[str, Any] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return {tag["Key"]: tag["Value"] for tag in self.raw["Tags"]}


class MemoryAws:
    """One account; see `port.Cloud`. `calls` are all that were made, `fail` lets some of them fail."""

    def __init__(self, account: str = "111122223333") -> None:
        self.account = account
        self.roles: dict[str, MemoryRole] = {}
        self.associations: dict[str, dict[str, Any]] = {}
        #: What EC2 tells: by list (`VpcEndpoints`, `NetworkInterfaces`…) its items; prefix lists hold their `Cidrs`.
        self.described: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[Call] = []
        self._numbers = itertools.count(1)
        self._faults: list[tuple[Exception, Callable[[Call], bool], list[int]]] = []

    @property
    def writes(self) -> list[Call]:
        """The calls that were made to change something."""
        return [call for call in self.calls if not call.action.startswith(_READS)]

    @property
    def counts(self) -> Counter[str]:
        """How often each action was called."""
        return Counter(call.action for call in self.calls)

    def fail(
        self, error: Exception, *, matches: Callable[[Call], bool] = lambda _: True, times: int = 1_000_000
    ) -> None:
        """Let the next matching calls fail."""
        self._faults.append((error, matches, [times]))

    def mend(self) -> None:
        """Take every fault back."""
        self._faults.clear()

    async def call(self, place: Place, call: Call) -> Answer:
        """Make one call."""
        await asyncio.sleep(0)
        self.calls.append(call)
        for error, matches, left in self._faults:
            if left[0] and matches(call):
                left[0] -= 1
                raise error
        return copy.deepcopy(_ACTIONS[call.action](self, place, dict(call.parameters)))

    def _whoami(self, _place: Place, _given: Mapping[str, Any]) -> Answer:
        return {"Account": self.account}

    def _role(self, given: Mapping[str, Any]) -> MemoryRole:
        try:
            return self.roles[given["RoleName"]]
        except KeyError:
            raise _missing(given["RoleName"]) from None

    def _create_role(self, place: Place, given: dict[str, Any]) -> Answer:
        name = given["RoleName"]
        if any(known.lower() == name.lower() for known in self.roles):
            raise Rejected(HTTPStatus.CONFLICT, "EntityAlreadyExists", f"role {name} exists")
        boundary = given.get("PermissionsBoundary")
        raw = {
            "RoleName": name,
            "Path": given["Path"],
            "RoleId": f"AROA{next(self._numbers):08}",
            "Arn": f"arn:{place.partition}:iam::{self.account}:role{given['Path']}{name}",
            "AssumeRolePolicyDocument": json.loads(given["AssumeRolePolicyDocument"]),
            "MaxSessionDuration": given.get("MaxSessionDuration", 3600),
            "Tags": given.get("Tags", []),
            **({"PermissionsBoundary": {"PermissionsBoundaryArn": boundary}} if boundary else {}),
        }
        self.roles[name] = MemoryRole(raw)
        return {"Role": raw}

    def _get_role(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        return {"Role": self._role(given).raw}

    def _list_roles(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        found = [role.raw for role in self.roles.values() if role.raw["Path"].startswith(given["PathPrefix"])]
        return {"Roles": [{key: raw[key] for key in ("RoleName", "Path", "RoleId", "Arn")} for raw in found]}

    def _delete_role(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        role = self._role(given)
        if role.inline or role.attached:
            raise Rejected(HTTPStatus.CONFLICT, "DeleteConflict", "the role holds policies")
        del self.roles[given["RoleName"]]
        return {}

    def _update_role(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._role(given).raw["MaxSessionDuration"] = given["MaxSessionDuration"]
        return {}

    def _trust(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._role(given).raw["AssumeRolePolicyDocument"] = json.loads(given["PolicyDocument"])
        return {}

    def _boundary(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._role(given).raw["PermissionsBoundary"] = {"PermissionsBoundaryArn": given["PermissionsBoundary"]}
        return {}

    def _tag_role(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        role = self._role(given)
        tags = {**role.tags, **{tag["Key"]: tag["Value"] for tag in given["Tags"]}}
        role.raw["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {}

    def _put_policy(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._role(given).inline[given["PolicyName"]] = json.loads(given["PolicyDocument"])
        return {}

    def _get_policy(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        found = self._role(given).inline.get(given["PolicyName"])
        if found is None:
            raise _missing(given["PolicyName"])
        return {"PolicyDocument": found}

    def _delete_policy(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        if self._role(given).inline.pop(given["PolicyName"], None) is None:
            raise _missing(given["PolicyName"])
        return {}

    def _list_policies(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        return {"PolicyNames": sorted(self._role(given).inline)}

    def _attach(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._role(given).attached.add(given["PolicyArn"])
        return {}

    def _detach(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        role = self._role(given)
        if given["PolicyArn"] not in role.attached:
            raise _missing(given["PolicyArn"])
        role.attached.discard(given["PolicyArn"])
        return {}

    def _list_attached(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        return {"AttachedPolicies": [{"PolicyArn": arn} for arn in sorted(self._role(given).attached)]}

    def _association(self, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.associations[given["associationId"]]
        except KeyError:
            raise _missing(given["associationId"]) from None

    def _associate(self, place: Place, given: dict[str, Any]) -> Answer:
        same = [a for a in self.associations.values() if all(a[k] == given[k] for k in ("namespace", "serviceAccount"))]
        if same:
            raise Rejected(HTTPStatus.CONFLICT, "ResourceInUseException", "the account has an association")
        identifier = f"a-{next(self._numbers):08}"
        home = f"arn:{place.partition}:eks:{place.region}:{self.account}:podidentityassociation/{given['clusterName']}"
        made = {**given, "associationId": identifier, "associationArn": f"{home}/{identifier}"}
        self.associations[identifier] = made
        return {"association": made}

    def _describe(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        return {"association": self._association(given)}

    def _list_associations(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        asked = {key: given[key] for key in ("clusterName", "namespace", "serviceAccount") if key in given}
        found = [a for a in self.associations.values() if all(a[key] == value for key, value in asked.items())]
        return {"associations": [{"associationId": a["associationId"]} for a in found]}

    def _update_association(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._association(given)["roleArn"] = given["roleArn"]
        return {}

    def _dissociate(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        self._association(given)
        del self.associations[given["associationId"]]
        return {}

    def _tag(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        found = next(a for a in self.associations.values() if a["associationArn"] == given["resourceArn"])
        found["tags"] = {**found["tags"], **given["tags"]}
        return {}

    def _vpc_endpoints(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        wanted = given["Filters"][0]["Values"]
        return {"VpcEndpoints": [e for e in self.described.get("VpcEndpoints", ()) if e["VpcId"] in wanted]}

    def _interfaces(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        found = {each["NetworkInterfaceId"]: each for each in self.described.get("NetworkInterfaces", ())}
        return {"NetworkInterfaces": [found[each] for each in given["NetworkInterfaceIds"]]}

    def _groups(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        found = {each["GroupId"]: each for each in self.described.get("SecurityGroups", ())}
        return {"SecurityGroups": [found[each] for each in given["GroupIds"]]}

    def _prefix_lists(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        wanted = given["Filters"][0]["Values"]
        return {"PrefixLists": [e for e in self.described.get("PrefixLists", ()) if e["PrefixListName"] in wanted]}

    def _entries(self, _place: Place, given: Mapping[str, Any]) -> Answer:
        found = next(e for e in self.described["PrefixLists"] if e["PrefixListId"] == given["PrefixListId"])
        return {"Entries": [{"Cidr": cidr} for cidr in found["Cidrs"]]}


def _missing(what: str) -> Rejected:
    return Rejected(HTTPStatus.NOT_FOUND, "NoSuchEntity", f"{what} does not exist")


_ACTIONS: Final[Mapping[str, Callable[[MemoryAws, Place, dict[str, Any]], Answer]]] = {
    "GetCallerIdentity": MemoryAws._whoami,
    "DescribeVpcEndpoints": MemoryAws._vpc_endpoints,
    "DescribeNetworkInterfaces": MemoryAws._interfaces,
    "DescribeSecurityGroups": MemoryAws._groups,
    "DescribeManagedPrefixLists": MemoryAws._prefix_lists,
    "GetManagedPrefixListEntries": MemoryAws._entries,
    "CreateRole": MemoryAws._create_role,
    "GetRole": MemoryAws._get_role,
    "ListRoles": MemoryAws._list_roles,
    "DeleteRole": MemoryAws._delete_role,
    "UpdateRole": MemoryAws._update_role,
    "UpdateAssumeRolePolicy": MemoryAws._trust,
    "PutRolePermissionsBoundary": MemoryAws._boundary,
    "TagRole": MemoryAws._tag_role,
    "PutRolePolicy": MemoryAws._put_policy,
    "GetRolePolicy": MemoryAws._get_policy,
    "DeleteRolePolicy": MemoryAws._delete_policy,
    "ListRolePolicies": MemoryAws._list_policies,
    "AttachRolePolicy": MemoryAws._attach,
    "DetachRolePolicy": MemoryAws._detach,
    "ListAttachedRolePolicies": MemoryAws._list_attached,
    "CreatePodIdentityAssociation": MemoryAws._associate,
    "DescribePodIdentityAssociation": MemoryAws._describe,
    "ListPodIdentityAssociations": MemoryAws._list_associations,
    "UpdatePodIdentityAssociation": MemoryAws._update_association,
    "DeletePodIdentityAssociation": MemoryAws._dissociate,
    "TagResource": MemoryAws._tag,
}
