"""The kinds of facts, and of each the fields that are read, with the types that the API server holds them to.

What comes from a cluster has them; a file may say anything, and is told the path before anybody trips over it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipesegment import names
from pipesegment.facts.values import (
    ADDRESS,
    ADDRESS_OR_NONE,
    BLOCK,
    FLAG,
    MOMENT,
    NAME,
    PORT,
    PORT_OR_NAME,
    PROTOCOL,
    RANGE,
    TEXT,
    TEXTS,
    WHOLE,
    Leaf,
    Must,
    Shape,
    faults,
    is_address,
    is_block,
    is_text,
    one_of,
)
from pipesegment.findings import Refusal

#: The types of a node's addresses that are read; others are names.
NODE_ADDRESSES: Final = ("InternalIP", "ExternalIP")
#: The types of EndpointSlices that hold addresses.
FAMILIES: Final = ("IPv4", "IPv6")

_LINKERD: Final = "policy.linkerd.io"
_GROUPS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("Namespace", "Node", "Pod", "Service", "ServiceAccount"), ""),
    "EndpointSlice": "discovery.k8s.io",
    "NetworkPolicy": "networking.k8s.io",
    "Gateway": "gateway.networking.k8s.io",
    "CustomResourceDefinition": "apiextensions.k8s.io",
    "AuthorizationPolicy": "security.istio.io",
    "PeerAuthentication": "security.istio.io",
    "Sidecar": "networking.istio.io",
    "DaemonSet": "apps",
    "ConfigMap": "",
    **dict.fromkeys(
        ("Server", "HTTPRoute", "MeshTLSAuthentication", "NetworkAuthentication", "ServerAuthorization"), _LINKERD
    ),
    **dict.fromkeys(("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), "rbac.authorization.k8s.io"),
    **dict.fromkeys(("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"), "admissionregistration.k8s.io"),
    "CiliumNetworkPolicy": "cilium.io",
    "CiliumClusterwideNetworkPolicy": "cilium.io",
    # As `compile --aws` prints them; no cluster has any.
    names.IAM_ROLE: "iam.amazonaws.com",
    names.POD_IDENTITY_ASSOCIATION: "eks.amazonaws.com",
    "SecurityGroupPolicy": "vpcresources.k8s.aws",
    **dict.fromkeys(("RolePolicy", "RolePolicyAttachment"), names.CROSSPLANE_IAM.partition("/")[0]),
    **dict.fromkeys(names.KINDS, names.GROUP),
}


#: Groups that have a kind of the same name.
_FURTHER: Final[Mapping[str, tuple[str, ...]]] = {
    "AuthorizationPolicy": (_LINKERD,),
    **dict.fromkeys(
        (names.CONTROLLED_ROLE, names.POD_IDENTITY_ASSOCIATION),
        tuple(sorted(version.partition("/")[0] for version in names.CONTROLLED_API_VERSIONS)),
    ),
}


def is_read(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object is of a kind that anybody reads; other groups may have kinds of the same names."""
    version = obj.get("apiVersion")
    group = _GROUPS.get(obj["kind"])
    if group is not None and isinstance(version, str):
        return version.rpartition("/")[0] in (group, *_FURTHER.get(obj["kind"], ()))
    return group is not None


def wrong(obj: Mapping[str, Any]) -> Iterator[Refusal]:
    """Find everything about an object of a kind that is read which no cluster would have printed."""
    fields = _FIELDS.get(obj["kind"], {})
    version = str(obj.get("apiVersion", ""))
    if version.startswith(_LINKERD):
        fields = _LINKERD_FIELDS.get(obj["kind"], {})
    if version in names.CONTROLLED_API_VERSIONS:
        fields = _SOME
    shape = {"apiVersion": TEXT, "metadata": Must(_METADATA), **fields}
    if obj["kind"] == "EndpointSlice" and obj.get("addressType") in FAMILIES:
        shape["endpoints"] = [{"addresses": [ADDRESS]}]
    yield from faults(obj, shape)


def wrong_status(obj: Mapping[str, Any]) -> Iterator[Refusal]:
    """Find what is wrong with the status of a document of ours; the rest of it the models judge."""
    yield from faults(obj, {"status": _FIELDS[obj["kind"]]["status"]})


def _is_node_address(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return is_address(value.get("address")) if value.get("type") in NODE_ADDRESSES else is_text(value.get("address"))


def _is_condition(value: Any) -> bool:
    """Tell whether this is an item of `when`; the values of addresses have to be blocks."""
    if not isinstance(value, dict) or not is_text(value.get("key")):
        return False
    lists = [value.get(name) or [] for name in ("values", "notValues")]
    holds = is_block if value["key"].endswith(".ip") else is_text
    return all(isinstance(found, list) and all(map(holds, found)) for found in lists)


def _is_modes(value: Any) -> bool:
    """Tell whether these are modes of mutual TLS by port."""
    return isinstance(value, dict) and all(
        port.isdecimal() and (mtls is None or isinstance(mtls, dict)) for port, mtls in value.items()
    )


def _both(*fields: str) -> tuple[str, ...]:
    """Give fields of an AuthorizationPolicy with their negations."""
    return (*fields, *(f"not{field[0].upper()}{field[1:]}" for field in fields))


#: What is compared as a whole, and read by nobody.
_SOME: Final[Mapping[str, Any]] = {"spec": Must({})}
_METADATA: Final[Shape] = {
    "name": Must(NAME),
    **dict.fromkeys(("namespace", "uid", "resourceVersion"), TEXT),
    "generation": WHOLE,
    **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), MOMENT),
    **dict.fromkeys(("labels", "annotations"), TEXTS),
    "ownerReferences": [dict.fromkeys(("apiVersion", "kind", "name", "uid"), TEXT)],
}
_SELECTOR: Final = {
    "matchLabels": TEXTS,
    "matchExpressions": [
        {"key": Must(TEXT), "operator": Must(one_of("In", "NotIn", "Exists", "DoesNotExist")), "values": [TEXT]}
    ],
}
_PEERS: Final = [
    {
        **dict.fromkeys(("podSelector", "namespaceSelector"), _SELECTOR),
        "ipBlock": {"cidr": Must(BLOCK), "except": [BLOCK]},
    }
]
_POLICY_PORTS: Final = [{"protocol": PROTOCOL, "port": PORT_OR_NAME, "endPort": PORT}]
_PROBE: Final = {"httpGet": {"path": TEXT, "port": PORT_OR_NAME, "scheme": TEXT}}
_CONTAINERS: Final = [
    {
        **dict.fromkeys(("name", "restartPolicy"), TEXT),
        "ports": [{"name": TEXT, "containerPort": Must(PORT), "protocol": PROTOCOL}],
        **dict.fromkeys(("startupProbe", "readinessProbe", "livenessProbe"), _PROBE),
    }
]
#: What a Cilium policy is about; its rules are read by whoever judges them.
_CILIUM_RULE: Final[Shape] = {"endpointSelector": _SELECTOR}
_CILIUM: Final[Mapping[str, Shape]] = {"spec": _CILIUM_RULE, "specs": [_CILIUM_RULE]}
_OF_WORKLOADS: Final = {"matchLabels": TEXTS}
_TARGET: Final = dict.fromkeys(("group", "kind", "name", "namespace"), TEXT)
_SOURCE: Final = {
    **{key: [TEXT] for key in _both("principals", "namespaces", "serviceAccounts", "requestPrincipals")},
    **{key: [BLOCK] for key in _both("ipBlocks", "remoteIpBlocks")},
}
_OPERATION: Final = {key: [TEXT] for key in _both("ports", "methods", "paths", "hosts")}
_RULE: Final = {
    "from": [{"source": _SOURCE}],
    "to": [{"operation": _OPERATION}],
    "when": [Leaf("a condition", _is_condition)],
}
_ENTRY: Final = {
    **dict.fromkeys(("apiVersion", "kind", "name"), Must(TEXT)),
    **dict.fromkeys(("namespace", "uid"), TEXT),
}

_NAMED: Final = dict.fromkeys(("group", "kind", "name", "namespace"), TEXT)
_LINKERD_FIELDS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "Server": {"spec": {"podSelector": _SELECTOR, "port": PORT_OR_NAME, "accessPolicy": TEXT}},
    "AuthorizationPolicy": {"spec": {"targetRef": _NAMED, "requiredAuthenticationRefs": [_NAMED]}},
    "HTTPRoute": {
        "spec": {
            "parentRefs": [_NAMED],
            "rules": [{"matches": [{"path": {"type": TEXT, "value": TEXT}, "method": TEXT}]}],
        }
    },
    "MeshTLSAuthentication": {"spec": {"identities": [TEXT], "identityRefs": [_NAMED]}},
    "NetworkAuthentication": {"spec": {"networks": [{"cidr": Must(BLOCK), "except": [BLOCK]}]}},
    "ServerAuthorization": {"spec": {"server": {"name": TEXT, "selector": _SELECTOR}}},
}
_RIGHTS: Final[Mapping[str, Shape]] = {
    "rules": [{key: [TEXT] for key in ("apiGroups", "resources", "verbs", "resourceNames")}]
}
_BINDING: Final[Mapping[str, Shape]] = {
    "roleRef": dict.fromkeys(("kind", "name"), TEXT),
    "subjects": [dict.fromkeys(("kind", "namespace", "name"), TEXT)],
}

#: kind -> what is read of it beside the metadata.
_FIELDS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "Node": {
        "spec": {"podCIDR": RANGE, "podCIDRs": [RANGE]},
        "status": {"addresses": [Leaf("an address of a node", _is_node_address)]},
    },
    "Pod": {
        "spec": {
            **dict.fromkeys(("serviceAccountName", "nodeName"), TEXT),
            "hostNetwork": FLAG,
            **dict.fromkeys(("containers", "initContainers"), _CONTAINERS),
        },
        "status": {"phase": TEXT, "podIP": ADDRESS_OR_NONE, "podIPs": [{"ip": Must(ADDRESS)}]},
    },
    "Service": {
        "spec": {
            **dict.fromkeys(("type", "externalName"), TEXT),
            "selector": TEXTS,
            "clusterIP": ADDRESS_OR_NONE,
            "clusterIPs": [ADDRESS_OR_NONE],
            "ports": [{"name": TEXT, "port": Must(PORT), "targetPort": PORT_OR_NAME, "protocol": PROTOCOL}],
        }
    },
    "EndpointSlice": {
        "addressType": TEXT,
        "endpoints": [{"addresses": [TEXT]}],
        "ports": [{"name": TEXT, "port": PORT, "protocol": PROTOCOL}],
    },
    "NetworkPolicy": {
        "spec": {
            "podSelector": _SELECTOR,
            "policyTypes": [one_of("Ingress", "Egress")],
            "ingress": [{"from": _PEERS, "ports": _POLICY_PORTS}],
            "egress": [{"to": _PEERS, "ports": _POLICY_PORTS}],
        }
    },
    "Gateway": {
        "spec": {
            "gatewayClassName": TEXT,
            "listeners": [{"allowedRoutes": {"namespaces": {"from": TEXT}}}],
        }
    },
    "AuthorizationPolicy": {
        "spec": {
            "action": TEXT,
            "selector": _OF_WORKLOADS,
            "targetRef": _TARGET,
            "targetRefs": [_TARGET],
            "rules": [_RULE],
        }
    },
    "PeerAuthentication": {
        "spec": {
            "selector": _OF_WORKLOADS,
            "mtls": {"mode": TEXT},
            "portLevelMtls": Leaf("an object of modes by port", _is_modes),
        }
    },
    "Sidecar": {"spec": {"workloadSelector": {"labels": TEXTS}}},
    "DaemonSet": {
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {"name": TEXT, "command": [TEXT], "args": [TEXT], "env": [{"name": TEXT, "value": TEXT}]}
                    ]
                }
            }
        },
        "status": dict.fromkeys(("desiredNumberScheduled", "numberReady"), WHOLE),
    },
    "ConfigMap": {"data": TEXTS},
    **dict.fromkeys(("SecurityGroupPolicy", "RolePolicy", "RolePolicyAttachment"), _SOME),
    names.IAM_ROLE: _SOME,
    names.POD_IDENTITY_ASSOCIATION: _SOME,
    **dict.fromkeys(("Role", "ClusterRole"), _RIGHTS),
    **dict.fromkeys(("RoleBinding", "ClusterRoleBinding"), _BINDING),
    "CiliumNetworkPolicy": _CILIUM,
    "CiliumClusterwideNetworkPolicy": _CILIUM,
    "ValidatingAdmissionPolicy": {
        "spec": {
            "failurePolicy": TEXT,
            "matchConditions": [{}],
            "paramKind": dict.fromkeys(("apiVersion", "kind"), TEXT),
            "validations": [{}],
            "matchConstraints": {
                **dict.fromkeys(("namespaceSelector", "objectSelector"), _SELECTOR),
                "resourceRules": [
                    {
                        "scope": TEXT,
                        **{
                            key: [TEXT]
                            for key in ("apiGroups", "apiVersions", "operations", "resources", "resourceNames")
                        },
                    }
                ],
                "excludeResourceRules": [{}],
            },
        }
    },
    "ValidatingAdmissionPolicyBinding": {
        "spec": {
            "policyName": TEXT,
            "validationActions": [TEXT],
            "paramRef": {
                **dict.fromkeys(("name", "namespace", "parameterNotFoundAction"), TEXT),
                "selector": _SELECTOR,
            },
            "matchResources": {
                **dict.fromkeys(("namespaceSelector", "objectSelector"), _SELECTOR),
                **{key: [{}] for key in ("resourceRules", "excludeResourceRules")},
            },
        }
    },
    names.SEGMENT: {
        "status": {
            "class": dict.fromkeys(("name", "uid"), TEXT),
            "inventory": [_ENTRY],
            "hostNames": [{"name": Must(TEXT), "addresses": [ADDRESS], "lastAnswered": TEXT}],
        }
    },
    names.GRANT: {"status": {"namespaces": [dict.fromkeys(("namespace", "uid"), Must(TEXT))]}},
    **{key: {"status": {}} for key in (names.CLASS, names.EXCEPTION, names.APPROVAL)},
}
