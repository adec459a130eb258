"""Which cluster is looked for, in which order, and what is never looked at."""

import pytest

from lab import cluster, external
from lab.cluster import Source
from lab.errors import LabError


def find(*, kind=False, **given):
    environ = given.pop("environ", {})
    return cluster.find(environ=environ, kind_usable=lambda: kind, **given)


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "some.kubeconfig"
    path.write_text("{}")
    return path


@pytest.fixture
def assets(tmp_path):
    folder = tmp_path / "assets"
    folder.mkdir()
    return folder


def test_a_given_kubeconfig_comes_first(kubeconfig, assets):
    found = find(kubeconfig=str(kubeconfig), environ={"KUBEBUILDER_ASSETS": str(assets)}, kind=True)

    assert (found.source, found.path) == (Source.KUBECONFIG, kubeconfig)


def test_the_option_comes_before_the_variable(kubeconfig, tmp_path):
    found = find(kubeconfig=str(kubeconfig), environ={"LAB_KUBECONFIG": str(tmp_path / "other")})

    assert found.path == kubeconfig


def test_the_variable_for_the_lab_counts_as_given(kubeconfig):
    assert find(environ={"LAB_KUBECONFIG": str(kubeconfig)}).path == kubeconfig


def test_the_assets_come_before_kind(assets):
    found = find(environ={"KUBEBUILDER_ASSETS": str(assets)}, kind=True)

    assert (found.source, found.path) == (Source.ASSETS, assets)


def test_kind_comes_before_the_embedded_one():
    assert find(kind=True).source is Source.KIND


def test_the_embedded_one_is_what_is_left():
    assert find().source is Source.EMBEDDED


def test_the_users_own_kubeconfig_is_never_looked_at(kubeconfig, monkeypatch):
    home = kubeconfig.parent
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text("{}")
    monkeypatch.setenv("HOME", str(home))

    assert find(environ={"KUBECONFIG": str(kubeconfig), "HOME": str(home)}).source is Source.EMBEDDED


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_source_asked_for_by_name_is_taken_before_what_is_there(how, assets):
    environ = {"KUBEBUILDER_ASSETS": str(assets)}
    if how == "option":
        found = find(source="embedded", environ=environ, kind=True)
    else:
        found = find(environ=environ | {"LAB_CLUSTER": "embedded"}, kind=True)

    assert (found.source, found.why) == (Source.EMBEDDED, "asked for")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": "minikube"}, "there is no cluster 'minikube'.*auto, kubeconfig, assets, kind, embedded"),
        ({"source": "kubeconfig"}, "set --cluster-kubeconfig or LAB_KUBECONFIG"),
        ({"source": "assets"}, "KUBEBUILDER_ASSETS is not set"),
        ({"kubeconfig": "/nowhere/config"}, "the kubeconfig /nowhere/config does not exist"),
        ({"environ": {"KUBEBUILDER_ASSETS": "/nowhere"}}, "KUBEBUILDER_ASSETS is /nowhere, which is no folder"),
        ({"kubeconfig": "/some/config", "source": "kind"}, "both the kubeconfig /some/config and the cluster 'kind'"),
    ],
)
def test_what_was_named_and_is_not_there_is_an_error_and_no_reason_to_look_further(given, said):
    with pytest.raises(LabError, match=said):
        find(**given)


def test_a_folder_without_an_api_server_is_an_error_that_names_it(assets):
    (assets / "etcd").touch()
    choice = find(environ={"KUBEBUILDER_ASSETS": str(assets)})

    with pytest.raises(LabError, match=f"KUBEBUILDER_ASSETS is {assets}, but there is no kube-apiserver in it"):
        cluster.open_cluster(choice)


def test_kind_is_usable_only_when_installed_and_an_engine_answers(programs):
    assert not external.kind_usable()
    programs.add("docker")
    assert not external.kind_usable()
    programs.add("kind")
    assert external.kind_usable()
    programs.add("docker", "exit 1")
    assert not external.kind_usable()


def test_a_kind_cluster_is_ours_alone_and_deleted_when_its_use_fails(programs, tmp_path, monkeypatch):
    own = tmp_path / "own.kubeconfig"
    own.write_text("mine")
    monkeypatch.setenv("KUBECONFIG", str(own))
    programs.add("kind")
    programs.add("kubectl", "echo no such cluster >&2; exit 1")

    with pytest.raises(LabError, match="no such cluster"):
        external.start_kind()

    create, *_, delete = [call.split() for call in programs.calls if call.startswith("kind ")]
    assert create[:3] == ["kind", "create", "cluster"]
    assert delete[:3] == ["kind", "delete", "cluster"]
    name, config, kubeconfig = (create[create.index(flag) + 1] for flag in ("--name", "--config", "--kubeconfig"))
    assert name.startswith("pipesegment-lab-")
    assert name == delete[delete.index("--name") + 1]
    assert kubeconfig == delete[delete.index("--kubeconfig") + 1] != str(own)
    assert "image: kindest/node:v" in (external.KIND_CONFIG).read_text()
    assert config == str(external.KIND_CONFIG)
    assert own.read_text() == "mine"
    assert all(f"--kubeconfig={kubeconfig}" in call for call in programs.calls if call.startswith("kubectl"))
