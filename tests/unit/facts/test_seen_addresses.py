"""The ordered index of addresses says what a walk over all of them would say."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from pipesegment.facts.seen import SeenAddresses

ADDRESSES = st.one_of(
    st.integers(0, 63).map(lambda n: f"10.0.0.{n}"), st.integers(0, 31).map(lambda n: f"2001:db8::{n:x}")
)
BLOCKS = st.one_of(
    st.tuples(st.integers(0, 63), st.integers(26, 32)).map(
        lambda t: ip_network((f"10.0.0.{t[0]}", t[1]), strict=False)
    ),
    st.tuples(st.integers(0, 31), st.integers(123, 128)).map(
        lambda t: ip_network((f"2001:db8::{t[0]:x}", t[1]), strict=False)
    ),
)


@given(
    st.lists(ADDRESSES, max_size=12),
    st.lists(st.integers(0, 11), max_size=6, unique=True),
    BLOCKS,
    st.lists(BLOCKS, max_size=4),
)
def test_the_first_address_of_a_block_less_its_holes(texts, leaving, block, holes):
    seen = SeenAddresses(texts)
    gone = [texts[n] for n in leaving if n < len(texts)]
    seen.remove(gone)
    left = list(texts)
    for text in gone:
        left.remove(text)
    holes = [h for h in holes if h.version == block.version]

    inside = [a for a in map(ip_address, left) if a in block and not any(a in h for h in holes)]
    assert seen.first_in(block, holes) == min(inside, default=None)


@given(st.lists(ADDRESSES, max_size=12), st.lists(BLOCKS, max_size=4))
def test_the_addresses_that_no_block_holds(texts, blocks):
    apart = []
    for block in sorted((b for b in blocks if b.version == 4), key=int_of):
        if not any(block.overlaps(b) for b in apart):
            apart.append(block)

    outside = {a for a in map(ip_address, texts) if a.version == 4 and not any(a in b for b in apart)}
    assert list(SeenAddresses(texts).outside(apart, 4)) == sorted(outside)


def test_what_is_no_address_is_passed_over():
    seen = SeenAddresses(["", "None", "10.0.0.1"])
    assert seen.first_in(ip_network("0.0.0.0/0")) == ip_address("10.0.0.1")


def int_of(block):
    return int(block.network_address)
