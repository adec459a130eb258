"""Settings: flags over environment over defaults, and wrong values named all at once."""

import dataclasses

import pytest

from pipesegment.errors import Usage
from pipesegment.settings import Settings, environment_name


def test_the_defaults_are_what_the_design_asks_for():
    found = Settings.load(environ={})
    assert (found.workers, found.writes_in_flight, found.page_size) == (16, 32, 500)
    assert (found.lease_duration, found.lease_renew, found.lease_retry, found.lease_timeout) == (15, 10, 2, 3)
    assert (found.resync_min, found.resync_max, found.backoff_max) == (1800, 3600, 300)


def test_flags_win_over_the_environment_and_that_over_the_defaults():
    environ = {"PIPESEGMENT_WORKERS": "8", "PIPESEGMENT_COALESCE": "0.05", "PIPESEGMENT_LOG_LEVEL": ""}
    found = Settings.load({"workers": 4, "coalesce": None}, environ)
    assert (found.workers, found.coalesce, found.log_level) == (4, 0.05, "INFO")


def test_kubeconfig_is_also_read_as_kubectl_does():
    assert Settings.load(environ={"KUBECONFIG": "a"}).kubeconfig == "a"
    assert Settings.load(environ={"KUBECONFIG": "a", "PIPESEGMENT_KUBECONFIG": "b"}).kubeconfig == "b"


def test_every_start_has_an_identity_of_its_own():
    assert Settings.load(environ={}).identity != Settings.load(environ={}).identity
    assert Settings.load(environ={"PIPESEGMENT_IDENTITY": "me"}).identity == "me"


def test_every_setting_is_documented_and_has_its_variable():
    for item in dataclasses.fields(Settings):
        assert item.metadata["help"].endswith((".", "…")), item.name
        assert environment_name(item.name) == f"PIPESEGMENT_{item.name.upper()}"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"WORKERS": "many"}, "PIPESEGMENT_WORKERS: workers is no whole number: 'many': leave it out for the default"),
        ({"WORKERS": "0"}, "PIPESEGMENT_WORKERS: workers is out of bounds with '0': from 1 to 256"),
        ({"COALESCE": "nan"}, "PIPESEGMENT_COALESCE: coalesce is out of bounds with 'nan': from 0 to 5"),
        ({"COALESCE": "soon"}, "PIPESEGMENT_COALESCE: coalesce is no number: 'soon': leave it out for the default"),
        ({"LOG_LEVEL": "LOUD"}, "log_level is unknown: 'LOUD': one of DEBUG, INFO, WARNING, ERROR"),
        ({"ADMIN_PORT": "70000"}, "admin_port is out of bounds with '70000': from 0 to 65535"),
        (
            {"LEASE_RENEW": "15"},
            "lease_renew would let two leaders overlap with '15.0': less than lease_duration = 15.0",
        ),
        ({"LEASE_RENEW": "5"}, "lease_renew leaves no time for a second attempt with '5.0': more than"),
        ({"RESYNC_MIN": "4000"}, "resync_min is above resync_max in '4000.0': at most 3600.0"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(environ, said):
    with pytest.raises(Usage) as caught:
        Settings.load(environ={f"PIPESEGMENT_{name}": value for name, value in environ.items()})
    assert said in str(caught.value)


def test_all_wrong_values_are_told_at_once():
    with pytest.raises(Usage) as caught:
        Settings.load({"workers": -1, "log_level": "LOUD", "namespace": ""}, {})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", ()),
        ("10.96.0.10", (("10.96.0.10", 53),)),
        ("10.96.0.10:5353, 192.0.2.1", (("10.96.0.10", 5353), ("192.0.2.1", 53))),
        ("2001:db8::1,[2001:db8::2]:5353", (("2001:db8::1", 53), ("2001:db8::2", 5353))),
    ],
)
def test_resolvers_are_addresses_with_or_without_a_port(text, servers):
    assert Settings.load(environ={"PIPESEGMENT_RESOLVERS": text}).dns_servers == servers


@pytest.mark.parametrize("text", ["kube-dns", "kube-dns:53", "10.96.0.10:0", "10.96.0.10:65536", "10.96.0.10:", "[10"])
def test_a_resolver_without_an_address_is_told(text):
    with pytest.raises(Usage, match="PIPESEGMENT_RESOLVERS: resolvers holds no address of a DNS server"):
        Settings.load(environ={"PIPESEGMENT_RESOLVERS": text})
