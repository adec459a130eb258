"""The endpoints of VPCs: what the EC2 API describes becomes facts, whether boto3 asked it or `aws ec2 describe-…` wrote it down.

An endpoint's own description names its network interfaces, its security groups and its service; their addresses and rules,
and the service's prefix list, come with further answers. What no answer tells is None: not known.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import collapse_addresses, ip_network
from typing import Any, Final

from pipesegment.facts.values import ADDRESS, BLOCK, FLAG, NAME, TEXT, WHOLE, Must, Shape, faults
from pipesegment.findings import Refusal

Raw = Mapping[str, Any]

#: What an answer of EC2 is called among the facts; no cluster has any.
API_VERSION: Final = "ec2.amazonaws.com/2016-11-15"
KIND: Final = "Answer"

_PORT: Final = 443
#: Names of AWS's own services. Those of others (`com.amazonaws.vpce.…`) have no region in this place.
_SERVICE: Final = re.compile(
    r"(?:cn\.)?com\.amazonaws\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)\.(?P<service>.+)", re.ASCII
)
_LIST: Final = re.compile(r"(?:cn\.)?com\.amazonaws\.(?P<region>[^.]+)\.(?:ipv6\.)?(?P<service>[^.]+)", re.ASCII)
_TYPES: Final = ("Interface", "Gateway")
_ANY: Final = ("*", {"AWS": "*"}, {"AWS": ["*"]})
#: answer -> what is read of its items.
_SHAPES: Final[Mapping[str, Shape]] = {
    "VpcEndpoints": {
        **dict.fromkeys(("VpcEndpointId", "VpcId", "ServiceName"), Must(NAME)),
        **dict.fromkeys(("VpcEndpointType", "State", "PolicyDocument"), TEXT),
        "PrivateDnsEnabled": FLAG,
        "NetworkInterfaceIds": [NAME],
        "Groups": [{"GroupId": Must(NAME)}],
    },
    "NetworkInterfaces": {
        "NetworkInterfaceId": Must(NAME),
        "PrivateIpAddress": ADDRESS,
        "PrivateIpAddresses": [{"PrivateIpAddress": Must(ADDRESS)}],
        "Ipv6Addresses": [{"Ipv6Address": Must(ADDRESS)}],
    },
    "PrefixLists": {"PrefixListId": Must(NAME), "PrefixListName": Must(NAME), "Cidrs": [BLOCK]},
    "SecurityGroups": {
        "GroupId": Must(NAME),
        "IpPermissions": [
            {
                "IpProtocol": TEXT,
                **dict.fromkeys(("FromPort", "ToPort"), WHOLE),
                "IpRanges": [{"CidrIp": Must(BLOCK)}],
                "Ipv6Ranges": [{"CidrIpv6": Must(BLOCK)}],
                "UserIdGroupPairs": [{}],
                "PrefixListIds": [{}],
            }
        ],
    },
}
#: answer -> the call that gives it.
_CALLS: Final = {
    "VpcEndpoints": "describe-vpc-endpoints",
    "NetworkInterfaces": "describe-network-interfaces",
    "PrefixLists": "describe-prefix-lists",
    "SecurityGroups": "describe-security-groups",
}


@dataclass(frozen=True, slots=True)
class VPCEndpoint:
    """An endpoint that is in use; `service` as its name ends, such as `s3` or `ecr.api`.

    `blocks` are where it answers: the addresses of its network interfaces, or what its service's `prefix_list` holds where
    it is a gateway. `admits` are the blocks that its security groups let in at 443. Both are None where that is not known.
    `allows_everything`: its policy holds nobody to anything.
    """

    vpc: str
    service: str
    id: str
    region: str = ""
    gateway: bool = False
    blocks: tuple[str, ...] | None = None
    prefix_list: str = ""
    private_dns: bool = True
    allows_everything: bool = False
    admits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of VPCs' endpoints: None when nobody looked.

    `vpcs` are those that were looked at, None for every one; `old` says when some of them were read last, where that was
    long ago.
    """

    endpoints: tuple[VPCEndpoint, ...] | None = None
    vpcs: frozenset[str] | None = None
    old: Mapping[str, str] = field(default_factory=dict)


def is_answer(value: Raw) -> bool:
    """Tell whether a document is what one of the calls that are read here prints."""
    return "kind" not in value and any(name in value for name in _SHAPES)


def wrong(answer: Raw) -> Iterator[Refusal]:
    """Find everything about an answer that AWS would not have said, and whether a part of it is missing."""
    for name, shape in _SHAPES.items():
        fix = f"give it as `aws ec2 {_CALLS[name]} --output json` prints it"
        if name in answer:
            yield from (replace(found, fix=fix) for found in faults(answer, {name: Must([shape])}))
            if answer.get("NextToken"):
                yield Refusal("NextToken", "says that there is more than", name, "give the whole answer")


def wrapped(answer: Raw, place: str) -> dict[str, Any]:
    """Make an answer an object, as every other fact is one."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": place}, "spec": answer}


def endpoints(answers: Iterable[Raw]) -> tuple[VPCEndpoint, ...] | None:
    """Read the endpoints that answers describe, by their ids; None when none of them is about endpoints."""
    found: dict[str, dict[str, Raw]] = defaultdict(dict)
    described = False
    for answer in answers:
        described = described or "VpcEndpoints" in answer
        for name, key in _KEYS.items():
            found[name] |= {item[key]: item for item in answer.get(name) or ()}
    if not described:
        return None
    read = (_endpoint(raw, found) for _, raw in sorted(found["VpcEndpoints"].items()))
    return tuple(each for each in read if each is not None)


_KEYS: Final = {
    "VpcEndpoints": "VpcEndpointId",
    "NetworkInterfaces": "NetworkInterfaceId",
    "PrefixLists": "PrefixListId",
    "SecurityGroups": "GroupId",
}


def _endpoint(raw: Raw, found: Mapping[str, Mapping[str, Raw]]) -> VPCEndpoint | None:
    """Read one; None for what leads to no service of AWS, or is not in use."""
    named = _SERVICE.fullmatch(raw["ServiceName"])
    kind = raw.get("VpcEndpointType") or "Gateway"
    if named is None or kind not in _TYPES or (raw.get("State") or "available").lower() != "available":
        return None
    gateway = kind == "Gateway"
    blocks, prefix_list = _listed(named, found["PrefixLists"].values()) if gateway else (_addresses(raw, found), "")
    return VPCEndpoint(
        vpc=raw["VpcId"],
        service=named["service"],
        id=raw["VpcEndpointId"],
        region=named["region"],
        gateway=gateway,
        blocks=blocks,
        prefix_list=prefix_list,
        private_dns=gateway or bool(raw.get("PrivateDnsEnabled")),
        allows_everything=_allows_everything(raw.get("PolicyDocument") or ""),
        admits=None if gateway else _admitted(raw, found["SecurityGroups"]),
    )


def _addresses(raw: Raw, found: Mapping[str, Mapping[str, Raw]]) -> tuple[str, ...] | None:
    """Give the addresses of an endpoint's interfaces as blocks; None unless each of them is described."""
    wanted, known = raw.get("NetworkInterfaceIds") or (), found["NetworkInterfaces"]
    if not wanted or not all(interface in known for interface in wanted):
        return None
    return _blocks(address for interface in wanted for address in _of_interface(known[interface]))


def _of_interface(raw: Raw) -> Iterator[str]:
    yield from filter(None, [raw.get("PrivateIpAddress")])
    yield from (each["PrivateIpAddress"] for each in raw.get("PrivateIpAddresses") or ())
    yield from (each["Ipv6Address"] for each in raw.get("Ipv6Addresses") or ())


def _listed(named: re.Match[str], lists: Iterable[Raw]) -> tuple[tuple[str, ...] | None, str]:
    """Give what the prefix lists of a service hold, one for each family, and their ids."""
    blocks: list[str] = []
    ids = []
    for each in lists:
        own = _LIST.fullmatch(each["PrefixListName"])
        if own and own.groups() == named.groups() and each.get("Cidrs") is not None:
            blocks += each["Cidrs"]
            ids.append(each["PrefixListId"])
    return (_blocks(blocks), ", ".join(sorted(ids))) if ids else (None, "")


def _blocks(texts: Iterable[str]) -> tuple[str, ...]:
    found = {ip_network(text, strict=False) for text in texts}
    families = ([block for block in found if block.version == version] for version in (4, 6))
    return tuple(str(block) for family in families for block in collapse_addresses(family))  # type: ignore[type-var] # one family


def _allows_everything(text: str) -> bool:
    """Tell whether some statement of a policy lets anybody do anything with anything."""
    try:
        document = json.loads(text)
    except ValueError:
        return False
    statements = document.get("Statement") if isinstance(document, dict) else None
    return any(isinstance(each, dict) and _is_open(each) for each in _many(statements))


def _is_open(statement: Raw) -> bool:
    everything = all("*" in _many(statement.get(name)) for name in ("Action", "Resource"))
    anybody = statement.get("Principal") in _ANY
    return statement.get("Effect") == "Allow" and everything and anybody and not statement.get("Condition")


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _admitted(raw: Raw, known: Mapping[str, Raw]) -> tuple[str, ...] | None:
    """Give the blocks that security groups let in; None where one is not known, or lets in what is no block."""
    groups = [group["GroupId"] for group in raw.get("Groups") or ()]
    if not groups or not all(group in known for group in groups):
        return None
    rules = [rule for group in groups for rule in known[group].get("IpPermissions") or () if _is_for_calls(rule)]
    if any(rule.get("UserIdGroupPairs") or rule.get("PrefixListIds") for rule in rules):
        return None
    four = (each["CidrIp"] for rule in rules for each in rule.get("IpRanges") or ())
    six = (each["CidrIpv6"] for rule in rules for each in rule.get("Ipv6Ranges") or ())
    return _blocks((*four, *six))


def _is_for_calls(rule: Raw) -> bool:
    protocol = rule.get("IpProtocol")
    ports = rule.get("FromPort", 0) <= _PORT <= rule.get("ToPort", _PORT)
    return protocol == "-1" or (protocol in {"tcp", "6"} and ports)
