"""The mesh lab: a control plane, istiod, and pods with real sidecars that answer and ask."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import count
from types import TracebackType
from typing import Final, Self

from lab import crds
from lab.api import Object
from lab.errors import LabError
from lab.mesh import istiod, pods
from lab.mesh.applications import Answer, Application
from lab.mesh.binaries import Binaries
from lab.mesh.control import Control
from lab.mesh.members import Member, Probe, Route, Service, route, vet
from lab.mesh.pods import Listening, PodPlan
from lab.mesh.settling import Settling, to_each_sidecar
from lab.mesh.sidecar import Sidecar

#: Whom istiod's tokens are for.
_AUDIENCE: Final = "istio-ca"
_ORDER = {"Namespace": 0, "Pod": 2}
#: A sidecar's connection to another outlives a change there, and its next request would be judged by what was before.
_NEW_CONNECTIONS: Final = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "lab-new-connections", "namespace": istiod.ROOT_NAMESPACE},
    "spec": {
        "host": "*.svc.cluster.local",
        "trafficPolicy": {"connectionPool": {"http": {"maxRequestsPerConnection": 1}}},
    },
}


class MeshLab:
    """A running lab; use it as a context manager. Its methods block, and are not for coroutines.

    Give it a world once (`outside`, then `create`), then `applied` policies and `probe` as often as you like.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> None:
        self._binaries = Binaries.built()
        self._control = self._stack.enter_context(Control(self._binaries, crds.istio()))
        self._control.apply(_NEW_CONNECTIONS)
        self._members: dict[str, Member] = {}
        self._services: dict[str, Service] = {}
        self._addresses = (f"10.244.1.{number}" for number in count(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything that was started and remove what was made; safe to call again."""
        self._stack.close()

    def check(self) -> None:
        """Raise LabError with the end of its log when a part of the lab is dead."""
        self._control.check()
        for member in self._members.values():
            member.application.check()
            if member.sidecar:
                member.sidecar.check()

    def outside(self, name: str, address: str, serves: Sequence[Listening]) -> None:
        """Add a host outside of the cluster, of which the API server knows nothing."""
        self._join(name, address, tuple(serves), None)

    def create(self, objects: Sequence[Object], observer: str) -> None:
        """Make the world: Namespaces, Services, ServiceAccounts and Pods, and return when every sidecar is ready.

        `observer` is the pod that asks for marks: one with a sidecar that no policy selects.
        """
        for obj in sorted(objects, key=lambda obj: _ORDER.get(obj["kind"], 1)):
            if obj["kind"] == "Pod":
                self._create_pod(obj)
            else:
                made = self._control.apply(obj)
                if obj["kind"] == "Service":
                    self._services[f"{made['metadata']['namespace']}/{made['metadata']['name']}"] = made
        for member in self._with_sidecars():
            self._start_sidecar(member)
        for member in self._with_sidecars():
            assert member.sidecar
            member.sidecar.await_ready()
        self._settling = Settling(self._control.istiod, self._control.apply, self._ask, observer)
        self._asked = to_each_sidecar(observer, self._members.values(), self._services.values())
        self._settling.settle([], [], self._asked)

    @contextlib.contextmanager
    def applied(self, objects: Sequence[Object]) -> Iterator[list[Object]]:
        """Keep these objects in force during the block, and give them as the API server has them.

        Before and after it the world is as it was made.
        """
        made: list[Object] = []
        try:
            made += [self._control.apply(obj) for obj in objects]
            self._settling.settle(made, [], self._asked)
            self.check()
            yield made
            # What was refused meanwhile was refused by living sidecars.
            self.check()
        finally:
            for obj in made:
                self._control.delete(obj)
            self._settling.settle([], made, self._asked)

    def probe(self, probe: Probe) -> Answer:
        """Ask, and return the answer. Raises LabError when it says nothing about policies (see `vet`)."""
        answer = self._ask(probe)
        vet(probe, self.route(probe), answer)
        return answer

    def route(self, probe: Probe) -> Route:
        """Find where a probe goes. Raises LabError when the lab knows no such target."""
        return route(probe, self._members, self._services)

    def restart_sidecar(self, pod: str) -> None:
        """End a pod's sidecar at once and start it anew."""
        member = self._members[pod]
        assert member.sidecar
        member.sidecar.stop()
        self._start_sidecar(member)
        member.sidecar.await_ready()

    def _ask(self, probe: Probe) -> Answer:
        way = self.route(probe)
        source = self._members.get(probe.source)
        if source is None:
            raise LabError(f"the lab has no pod {probe.source}; it has {', '.join(sorted(self._members))}")
        return source.application.ask(way.question)

    def _with_sidecars(self) -> list[Member]:
        return [member for member in self._members.values() if member.sidecar]

    def _create_pod(self, pod: Object) -> None:
        plan = pods.plan(pod)
        member = self._join(str(plan), next(self._addresses), plan.serves, plan)
        self._control.create_pod(pod, member.address)

    def _join(self, name: str, address: str, serves: tuple[Listening, ...], plan: PodPlan | None) -> Member:
        namespace = self._control.network.attach(address, hosts={istiod.HOST: istiod.ADDRESS})
        folder = self._control.folder / name.replace("/", ".")
        folder.mkdir()
        application = Application(name, namespace, serves, folder)
        self._stack.callback(application.stop)
        sidecar = None
        if plan and plan.sidecar:
            sidecar = Sidecar(plan, address, namespace, self._binaries, folder)
            self._stack.callback(sidecar.stop)
        member = Member(name, address, serves, application, plan, sidecar)
        self._members[name] = member
        return member

    def _start_sidecar(self, member: Member) -> None:
        assert member.plan
        assert member.sidecar
        plan = member.plan
        root = self._control.run(self._control.api.wait("v1", "ConfigMap", "istio-ca-root-cert", plan.namespace))
        pod = {"apiVersion": "v1", "kind": "Pod", "name": plan.name}
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [_AUDIENCE], "boundObjectRef": pod},
        }
        path = f"/api/v1/namespaces/{plan.namespace}/serviceaccounts/{plan.account}/token"
        token = self._control.run(self._control.api.request("POST", path, asked))
        member.sidecar.start(token["status"]["token"], root["data"]["root-cert.pem"])
