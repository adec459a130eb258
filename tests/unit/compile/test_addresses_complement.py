"""Blocks less their exceptions, judged address by address."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment.compile.addresses import complement, ip_blocks
from pipesegment.reach.edges import AddressPeer

ADDRESSES = list(ip_network("10.0.0.0/27"))
inner = st.builds(
    lambda address, length: str(ip_network(f"{address}/{length}", strict=False)),
    st.sampled_from(ADDRESSES),
    st.integers(27, 32),
)


@settings(deadline=None)
@given(st.lists(inner, max_size=5))
def test_complement_holds_exactly_what_is_left(excepts):
    prefixes = [ip_network(p) for p in complement(AddressPeer("10.0.0.0/27", tuple(sorted(excepts))))]
    for address in ADDRESSES:
        left = not any(address in ip_network(e) for e in excepts)
        assert sum(address in p for p in prefixes) == left
    assert ip_address("10.0.0.32") not in prefixes


@pytest.mark.parametrize(
    ("peer", "prefixes"),
    [
        (AddressPeer("0.0.0.0/0", ("128.0.0.0/2",)), ("0.0.0.0/1", "192.0.0.0/2")),
        (
            AddressPeer("::/0", ("fc00::/7", "fe00::/7")),
            ("::/1", "8000::/2", "c000::/3", "e000::/4", "f000::/5", "f800::/6"),
        ),
        (AddressPeer("10.0.0.0/30", ("10.0.0.0/32",)), ("10.0.0.1/32", "10.0.0.2/31")),
        (AddressPeer("10.0.0.0/8"), ("10.0.0.0/8",)),
        (AddressPeer("10.0.0.0/8", ("0.0.0.0/0",)), ()),
    ],
)
def test_complement_is_the_fewest_prefixes_in_address_order(peer, prefixes):
    assert complement(peer) == prefixes
    assert ip_blocks(peer, "Prefixes") == [{"ipBlock": {"cidr": p}} for p in prefixes]


def test_exceptions_are_written_sorted_and_only_when_there_are_any():
    assert ip_blocks(AddressPeer("10.0.0.0/8", ("10.2.0.0/16", "10.1.0.0/16")), "Except") == [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}}
    ]
    assert ip_blocks(AddressPeer("10.0.0.0/8"), "Except") == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    assert ip_blocks(AddressPeer("10.0.0.0/8", ("10.0.0.0/8",)), "Except") == []
