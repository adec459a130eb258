"""What 'internet' is, and which blocks meet the metadata services."""

from ipaddress import ip_address, ip_network

import pytest

from pipesegment.reach import addresses


def opened(address, cluster=()):
    found = ip_address(address)
    for peer in addresses.internet(tuple(cluster)):
        if found in ip_network(peer.block):
            return not any(found in ip_network(hole) for hole in peer.excepts)
    return False


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "9.255.255.255", "11.0.0.1", "172.15.255.255", "172.32.0.1"]
)
def test_public_addresses_are_internet(address):
    assert opened(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254",
        "169.254.170.23", "0.1.2.3", "192.0.2.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "168.63.129.16", "100.100.100.200", "::1", "fd00:ec2::254", "fe80::1", "fc00::1", "ff02::1",
        "64:ff9b::a00:1", "2002:a00:1::1", "2001:db8::1", "::ffff:10.0.0.1",
    ],
)  # fmt: skip
def test_special_private_and_metadata_addresses_are_not(address):
    assert not opened(address)


def test_the_clusters_own_ranges_are_not_even_when_public():
    assert opened("34.118.0.1")
    assert not opened("34.118.0.1", ["34.118.0.0/17"])


@pytest.mark.parametrize(
    ("block", "excepts", "meets"),
    [
        ("0.0.0.0/0", [], True),
        ("0.0.0.0/0", ["169.254.169.254/32"], True),
        ("169.254.0.0/16", ["169.254.0.0/17", "169.254.128.0/17"], False),
        ("169.254.169.254/32", [], True),
        ("10.0.0.0/8", [], False),
        ("fd00::/8", [], True),
        ("fd00::/8", ["fd00:ec2::/32"], True),
        ("fd00::/8", ["fd00:ec2::/32", "fd20:ce::/32"], False),
        ("64:ff9b::a9fe:a9fe/128", [], True),
        ("2002:a9fe:a9fe::/48", [], True),
        ("100.100.100.0/24", [], True),
    ],
)
def test_metadata_addresses_are_found_in_what_is_left_of_a_block(block, excepts, meets):
    assert (addresses.touching(block, excepts, addresses.metadata()) is not None) == meets


def test_a_block_is_public_when_any_of_it_is():
    assert addresses.is_public("10.0.0.0/7")
    assert not addresses.is_public("10.0.0.0/8")
    assert not addresses.is_public("0.0.0.0/0", ["0.0.0.0/1", "128.0.0.0/1"])
