"""A cluster with the admission policies of manifests/install.yaml, stages that they guard, and people who try things."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from lab import crds, yaml
from lab.controlplane import ControlPlane, EmbeddedControlPlane
from pipesegment.cli import program
from tests.cluster import controlled, emergencies
from tests.cluster.attempts import (
    Answer,
    Object,
    Person,
    Request,
    change,
    connect,
    create,
    debug,
    labels,
    marked,
    opening,
    pod,
    token,
)
from tests.cluster.operator import ACCOUNT, NAMESPACE, ROOT, install, segment, stage
from tests.planes import serve

POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
TEKTON = ("tekton-pipelines", "controller")
#: Who may do everything but change admission: what RBAC says must not be what refuses.
_RIGHTS = [
    {"apiGroups": [""], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["networking.k8s.io", "pipesegment.dev"], "resources": ["*"], "verbs": ["*"]},
    {
        "apiGroups": ["security.istio.io", "networking.istio.io", "policy.linkerd.io", "cilium.io"],
        "resources": ["*"],
        "verbs": ["*"],
    },
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]},
    {
        "apiGroups": [crd["spec"]["group"] for crd in crds.aws()],
        "resources": ["*"],
        "verbs": ["*"],
    },
]


def policies() -> list[Object]:
    """The admission policies and their bindings, as they are delivered."""
    documents = yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text())
    return [obj for obj in documents if obj and obj["kind"] in POLICIES]


@dataclass
class Scene:
    """The cluster, and who is there."""

    plane: EmbeddedControlPlane
    people: dict[str, Person] = field(default_factory=dict)
    #: uids of classes and exceptions, by name
    uids: dict[str, str] = field(default_factory=dict)

    def tries(self, who: str, request: Request) -> Answer:
        """Have somebody try something."""
        return self.people[who].tries(request)

    def proofs(self) -> dict[str, tuple[Request, str]]:
        """For each binding something that it alone refuses, when alice tries it, and in which words."""
        build, test = labels("shop", "build"), labels("shop", "test")
        opened = {"spec": {"egress": [{}]}}
        forged = {"kopf.zalando.org/last-handled-configuration": "{}"}
        proofs = {
            "stage-pods-wired": (create(pod("ci", "other", build)), "Deny stage-pods"),
            "stage-pods-unwired": (create(pod("ci", "other", test)), "Warn stage-pods"),
            "stage-creators": (create(pod("ci-locked", "rel-deploy", labels("rel", "deploy"))), "Deny stage-creators"),
            "stage-bypass": (create(pod("ci", "shop-build", build, hostPID=True)), "Deny stage-bypass"),
            "stage-debugging": (debug("ci", "build-1"), "Deny stage-debugging"),
            "lockdown": (connect("ci-locked", "deploy-1", "exec"), "Deny lockdown"),
            "exclusive": (create(opening("ci-own")), "Deny exclusive"),
            "stage-tokens": (token("ci", "shop-build"), "Deny stage-tokens"),
            "pod-status": (
                change("Pod", "ci", "plain-1", {"metadata": {"labels": build}}, "status"),
                "Deny pod-status",
            ),
            "managed-objects": (change("NetworkPolicy", "ci", "shop-build", opened), "Deny managed-objects"),
            "account-roles": (
                marked("ServiceAccount", "ci", "used", {"eks.amazonaws.com/role-arn": "x"}),
                "Deny account-roles",
            ),
            "declarations": (marked("PipelineSegment", "quiet", "late", forged), "Deny declarations"),
            "guardrails": (
                create(segment("asks", "ci-rails", stage("build", {"imds": {}}))),
                "Deny guardrails",
            ),
            "sealed-segments": (
                change("PipelineSegment", "ci-sealed", "shop", {"spec": {"stages": [{"name": "other"}]}}),
                "Deny sealed-segments",
            ),
            "segmentexceptions": (create(emergencies.exception(by="bob")), "Deny segmentexceptions"),
            "segmentapprovals": (create(emergencies.approval(self.uids, by="alice")), "Deny segmentapprovals"),
        }
        return {f"pipesegment-{name}": proof for name, proof in proofs.items()}

    def await_policies(self) -> None:
        """Wait until every binding is in force."""
        for request, verdict in self.proofs().values():
            self.await_verdict("alice", request, verdict)

    def await_verdict(self, who: str, request: Request, verdict: str, within: float = 30.0) -> None:
        """Ask until the API server has taken notice of a policy; it tells nobody when that is."""
        deadline = time.monotonic() + within
        while (found := self.tries(who, request)).verdict != verdict:
            assert time.monotonic() < deadline, f"{found.verdict} instead of {verdict} after {within:g} s"
            time.sleep(0.05)


def compiled(folder: Path) -> list[Object]:
    """What the operator would make of the stages: the command line says it, with the same code."""
    for name, documents in (("segments.yaml", SEGMENTS), ("facts.yaml", _facts())):
        (folder / name).write_text(yaml.safe_dump_all(documents))
    arguments = ["compile", "-f", str(folder / "segments.yaml"), "--facts", str(folder / "facts.yaml")]
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def settle(plane: EmbeddedControlPlane, folder: Path, *, live: bool = False) -> Scene:
    """Bring the stages, their objects and the people to a cluster; the policies come with `enforce`.

    `live`: an operator is to make the objects, so that segments and classes come instead; the stages' pods are to come
    after their accounts (`running`), and those that are as they should not be not at all.
    """
    install(plane)
    admin = Person(plane.admin)
    for space, marks in _NAMESPACES.items():
        if space not in {NAMESPACE, "kube-system"}:
            metadata = {"name": space, "labels": marks}
            admin.does(create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
            plane.kubectl("wait", "--for=create", "--timeout=60s", f"--namespace={space}", "serviceaccount/default")
    serve(plane, crds.aws())
    _bind(plane)
    operator = Person(plane.access(service_account=(NAMESPACE, ACCOUNT)))
    objects = [] if live else [o for o in compiled(folder) if o["kind"] in {"NetworkPolicy", "ServiceAccount"}]
    for obj in (*controlled.MADE.values(), *objects):
        operator.does(create(obj))
    for obj in (*_others(), *(declared() if live else running())):
        if not (live and obj["metadata"]["name"] in STRAYS):
            admin.does(create(obj))
    make_rails(admin, operator)
    scene = Scene(plane)
    scene.people = {
        "alice": Person(plane.access(user="alice", groups=["dev"])),
        "root": admin,
        "operator": operator,
        "tekton": Person(plane.access(service_account=TEKTON)),
        **{who: Person(plane.access(service_account=account)) for who, account in controlled.CONTROLLERS.items()},
        "jobs": Person(plane.access(service_account=("kube-system", "job-controller"))),
        "collector": Person(plane.access(service_account=("kube-system", "generic-garbage-collector"))),
        "node": Person(plane.access(user="system:node:one", groups=["system:nodes"])),
        "bot": Person(plane.access(service_account=("quiet", "bot"))),
        "namespaces": Person(plane.access(service_account=("kube-system", "namespace-controller"))),
        **emergencies.people(plane),
    }
    emergencies.prepare(plane, admin, operator, scene.uids)
    return scene


def enforce(plane: ControlPlane, documents: list[Object]) -> None:
    """Put policies on the cluster."""
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    plane.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(listed))


def make_rails(admin: Person, operator: Person) -> None:
    """Make the class of the namespace `ci-rails`, with what the operator would have said of it."""
    meta = {"name": "rails"}
    made = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentClass", "metadata": meta, "spec": RAILS}
    admin.does(create(made))
    operator.does(change("SegmentClass", "", "rails", {"status": {"governs": ["ci-rails"]}}, "status"))


def _bind(plane: ControlPlane) -> None:
    role = {"name": "lab-everything"}
    subjects = [
        {"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        for name in ("dev", "oidc:staff", "system:nodes", "system:serviceaccounts")
    ]
    items = [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": role, "rules": _RIGHTS},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **role},
            "subjects": subjects,
        },
        *(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in (TEKTON[0], *sorted({space for space, _ in controlled.CONTROLLERS.values()}))
        ),
        *(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": space, "name": name}}
            for space, name in (
                TEKTON,
                *controlled.CONTROLLERS.values(),
                ("kube-system", "job-controller"),
                ("kube-system", "generic-garbage-collector"),
                ("kube-system", "namespace-controller"),
            )
        ),
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    plane.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))


_NAMESPACES: dict[str, dict[str, str]] = {
    "ci": {},
    "ci-locked": {"lab.example.com/locked": "yes"},
    "ci-mesh": {"istio-injection": "enabled"},
    "ci-own": {"lab.example.com/own": "yes"},
    "ci-own-istio": {"lab.example.com/own": "yes", "istio-injection": "enabled"},
    "ci-own-ambient": {"lab.example.com/own": "yes", "istio.io/dataplane-mode": "ambient"},
    "ci-own-linkerd": {"lab.example.com/own": "linkerd"},
    "ci-sealed": {},
    "ci-rails": {"lab.example.com/rails": "yes"},
    "quiet": {},
    "kube-system": {},
    NAMESPACE: {},
}

#: What the stages are; `watch` is observed, `test` has never been seen to run.
SEGMENTS = [
    segment(
        "shop",
        "ci",
        stage("build"),
        stage("image"),
        stage("deploy", serviceAccount={"name": "deployer"}),
        stage("test"),
        stage("watch", mode="Observe"),
        stage("borrow", serviceAccount={"name": "used", "create": False}),
    ),
    segment(
        "tk",
        "ci",
        stage("compile", engine={"tasks": ["compile", "lint"]}),
        engine={"type": "Tekton", "tekton": {"pipeline": "tk"}},
    ),
    segment("rel", "ci-locked", stage("deploy")),
    segment("shop", "ci-mesh", stage("build")),
    segment(
        "shop",
        "ci-own",
        stage("build"),
        stage("image", podSelector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}),
    ),
    segment("shop", "ci-sealed", stage("build")),
    *(segment("shop", f"ci-own-{mesh}", stage("build")) for mesh in ("istio", "ambient", "linkerd")),
]

#: What the class of the namespace `ci-rails` allows; no operator runs, so that its status is written by hand.
RAILS: Object = {
    "namespaceSelector": {"matchLabels": {"lab.example.com/rails": "yes"}},
    "priority": 10,
    "network": {"allowInternet": False},
    "guardrails": {
        "modes": ["Enforce"],
        "allowSuspend": False,
        "engines": ["Tekton"],
        "targets": ["stage", "cidr", "service"],
        "cidrs": ["203.0.113.0/24"],
    },
}

_TEKTON_LABELS = {"tekton.dev/pipeline": "tk", "tekton.dev/pipelineTask": "lint"}
#: Pods that are there before anybody tries anything.
_PODS = [
    ("ci", "shop-build", labels("shop", "build"), "build-1"),
    ("ci", "shop-image", labels("shop", "image"), "image-1"),
    ("ci", "deployer", labels("shop", "deploy"), "deploy-1"),
    ("ci", "tk-compile", _TEKTON_LABELS, "lint-1"),
    ("ci-locked", "rel-deploy", labels("rel", "deploy"), "deploy-1"),
    ("ci-mesh", "shop-build", labels("shop", "build"), "build-1"),
    ("quiet", "", {}, "plain-1"),
]


#: Pods that are not as they should be: with them around, no stage of theirs is wired.
STRAYS = ("stray-1", "lost-1")


def declared() -> Iterator[Object]:
    """What people declare, so that an operator makes of it what `compiled` gives, where kinds of meshes are served too.

    All namespaces but `ci-mesh` are kept out of them; those of `ci-own` in one are nobody's here.
    """
    for made in (obj for obj in _facts() if obj["kind"] == "SegmentClass"):
        yield made | {"spec": made["spec"] | {"mesh": {"provider": "None"}}}
    meshed = {"namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}}, "priority": 5}
    yield {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "SegmentClass",
        "metadata": {"name": "meshed"},
        "spec": meshed,
    }
    yield from (obj for obj in SEGMENTS if obj["metadata"]["namespace"] != "ci-sealed")
    yield emergencies.exception(by="sue", effect="Seal", name="seal", namespace="ci-sealed") | {"spec": _seal()["spec"]}


def _seal() -> Object:
    seal = emergencies.exception(
        by="sue",
        effect="Seal",
        name="seal",
        namespace="ci-sealed",
        uid="u-seal",
        creationTimestamp="2026-01-01T00:00:00Z",
    )
    seal["spec"]["stage"] = "build"
    return seal


def _facts() -> list[Object]:
    """What is around the segments: classes, and pods that run as they should."""
    spaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": m}} for n, m in _NAMESPACES.items()
    ]
    version = "pipesegment.dev/v1alpha1"
    open_class = {
        "guardrails": {
            "exemptions": [{"allow": ["Privileged", "HostPath"], "stages": ["image"], "reason": "builds images"}]
        }
    }
    locked = {
        "namespaceSelector": {"matchLabels": {"lab.example.com/locked": "yes"}},
        "priority": 10,
        "guardrails": {"lockdown": True, "controllers": ["/".join(TEKTON)]},
    }
    own = {
        "namespaceSelector": {"matchLabels": {"lab.example.com/own": "yes"}},
        "priority": 10,
        "guardrails": {"exclusive": True},
    }
    linkerd = own | {
        "namespaceSelector": {"matchLabels": {"lab.example.com/own": "linkerd"}},
        "mesh": {"provider": "Linkerd"},
    }
    classes = [
        {"apiVersion": version, "kind": "SegmentClass", "metadata": {"name": name}, "spec": spec}
        for name, spec in (("open", open_class), ("locked", locked), ("own", own), ("own-linkerd", linkerd))
    ]
    return [*spaces, *classes, _seal(), *running()]


def running() -> Iterator[Object]:
    """Give the pods of stages that are there before anybody tries anything."""
    for space, account, marks, name in _PODS:
        yield pod(space, account, marks, name=name)


def _others() -> Iterator[Object]:
    """Accounts that are nobody's stage, pods from before there were policies, and a policy of somebody else."""
    for space, name in (
        ("ci", "other"),
        ("ci", "used"),
        ("quiet", "bot"),
        ("quiet", "shop-build"),
        ("ci-locked", "other"),
    ):
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": space, "name": name}}
    yield pod("ci", "", {"app": "web"}, name="plain-1")
    yield pod("ci", "other", labels("shop", "build"), name="stray-1")
    yield pod("ci", "shop-build", {"app": "lost"}, name="lost-1")
    yield pod("ci-locked", "other", {"app": "web"}, name="plain-1")
    yield pod("ci-locked", "rel-deploy", {"app": "lost"}, name="lost-1")
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "ci", "name": "somebodys"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
    }
    yield opening("ci-own", {"app": "web"}, name="from-before")
    yield {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegment"} | {
        "metadata": {"namespace": "quiet", "name": "late"},
        "spec": {"stages": [{"name": "build"}]},
    }
    yield segment("shop", "ci-sealed", stage("build"))
