"""What the mesh lab takes for an answer, and how it reads Pods and Services; no sidecar is needed for that."""

from dataclasses import dataclass, field

import pytest

from lab.errors import LabError
from lab.mesh import missing, netns, pods
from lab.mesh.applications import Answer, Question
from lab.mesh.members import Member, Probe, route, vet
from lab.mesh.pods import Listening
from lab.mesh.settling import to_each_sidecar

POD = {
    "metadata": {"namespace": "ci", "name": "web", "labels": {"app": "web"}},
    "spec": {
        "serviceAccountName": "web",
        "containers": [
            {
                "name": "main",
                "ports": [{"containerPort": 8080, "name": "web"}, {"containerPort": 53, "protocol": "UDP"}],
            },
            {"name": "istio-proxy", "ports": [{"containerPort": 15090}]},
        ],
    },
}
SERVICE = {
    "metadata": {"namespace": "ci", "name": "web"},
    "spec": {
        "clusterIP": "10.96.0.7",
        "selector": {"app": "web"},
        "ports": [
            {"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"},
            {"name": "http-gone", "port": 81, "targetPort": 8081, "protocol": "TCP"},
        ],
    },
}
TO_WEB = Probe("ci/build", "service", "ci/web", 80)
TO_NOBODY = Probe("ci/build", "service", "ci/web", 81)


@dataclass
class Talking:
    """An application that answers itself, or does not."""

    answer: Answer
    asked: list[Question] = field(default_factory=list)

    def ask(self, question):
        self.asked.append(question)
        return self.answer


def web(application=None, sidecar="a sidecar"):
    plan = pods.plan(POD)
    return Member("ci/web", "10.244.1.1", plan.serves, application or Talking(Answer("200", "ci/web")), plan, sidecar)


def way(probe, member):
    return route(probe, {"ci/web": member}, {"ci/web": SERVICE})


@pytest.mark.parametrize(("user", "programs", "said"), [(1000, "/bin/x", "need root"), (0, None, "ip, iptables")])
def test_what_the_machine_lacks_is_said_in_words(monkeypatch, user, programs, said):
    monkeypatch.setattr(netns.os, "geteuid", lambda: user)
    monkeypatch.setattr(netns.shutil, "which", lambda _name: programs)

    assert said in missing()


def test_a_pod_listens_on_what_its_containers_list_and_the_proxy_is_no_container_of_its_own():
    plan = pods.plan(POD)

    assert (str(plan), plan.account, plan.sidecar) == ("ci/web", "web", True)
    assert plan.serves == (Listening("TCP", 8080, "web"), Listening("UDP", 53))


def test_a_pod_with_a_sidecar_is_marked_as_one_that_speaks_mutual_tls():
    made = pods.scheduled(POD)

    assert made["metadata"]["labels"] == {"app": "web", "security.istio.io/tlsMode": "istio"}
    assert made["spec"]["nodeName"] == pods.NODE
    assert "nodeName" not in POD["spec"]


def test_a_probe_of_a_service_goes_to_its_address_by_its_name_and_ends_at_the_target_port():
    found = way(TO_WEB, web())

    assert (found.question.address, found.question.port, found.port) == ("10.96.0.7", 80, 8080)
    assert found.question.host == "web.ci.svc.cluster.local:80"


@pytest.mark.parametrize(
    "probe",
    [
        Probe("ci/build", "service", "ci/other", 80),
        Probe("ci/build", "service", "ci/web", 82),
        Probe("ci/build", "service", "ci/web", 80, "UDP"),
        Probe("ci/build", "pod", "ci/other", 8080),
    ],
)
def test_a_probe_of_what_is_not_there_is_an_error_of_the_lab(probe):
    with pytest.raises(LabError, match="the lab has no"):
        way(probe, web())


@pytest.mark.parametrize(
    "answer", [Answer("503", "upstream connect error"), Answer("timeout", ""), Answer("refused", "")]
)
def test_a_failure_is_never_taken_for_a_denial(answer):
    with pytest.raises(LabError, match="no verdict"):
        vet(TO_WEB, way(TO_WEB, web()), answer)


def test_where_nobody_listens_a_failure_is_what_it_is():
    vet(TO_NOBODY, way(TO_NOBODY, web()), Answer("503", "upstream connect error"))


def test_somebody_elses_answer_is_an_error_of_the_lab():
    with pytest.raises(LabError, match="answered by 'ci/other'"):
        vet(TO_WEB, way(TO_WEB, web()), Answer("200", "ci/other"))


def test_a_403_counts_when_a_policy_gave_it():
    with pytest.raises(LabError, match="no policy gave"):
        vet(TO_WEB, way(TO_WEB, web()), Answer("403", "go away"))
    vet(TO_WEB, way(TO_WEB, web()), Answer("403", "RBAC: access denied"))


@pytest.mark.parametrize("answer", [Answer("reset", ""), Answer("403", "RBAC: access denied")])
def test_a_block_counts_beside_a_living_application_alone(answer):
    alive = Talking(Answer("200", "ci/web"))
    vet(TO_WEB, way(TO_WEB, web(alive)), answer)

    assert [(q.address, q.port) for q in alive.asked] == [("127.0.0.1", 8080)]
    with pytest.raises(LabError, match="does not even answer itself"):
        vet(TO_WEB, way(TO_WEB, web(Talking(Answer("reset", "")))), answer)


def test_marks_are_asked_for_at_each_sidecar_that_one_service_leads_to():
    other = {
        "metadata": {"namespace": "ci", "name": "db"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 1}]},
    }

    assert to_each_sidecar("ops/observer", [web()], [other, SERVICE]) == [
        Probe("ops/observer", "service", "ci/web", 80)
    ]
    assert to_each_sidecar("ci/web", [web()], [SERVICE]) == []
    assert to_each_sidecar("ops/observer", [web(sidecar=None)], [SERVICE]) == []
