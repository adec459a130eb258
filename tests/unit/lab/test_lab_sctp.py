"""SCTP by hand: packets that a packet filter and the other end of ours take for what they are."""

from lab.network.traffic import sctp


def test_the_checksum_is_crc32c():
    # The check value of RFC 3720 and of every table of CRCs.
    assert sctp._crc32c(b"123456789") == 0xE3069283


def test_an_init_is_read_back_from_behind_an_ip_header():
    init = sctp.Packet(20001, 3868, 0, sctp.INIT, 7)

    data = sctp.build(init)

    assert len(data) == 32
    assert sctp.parse(data, ip_header=False) == init
    assert sctp.parse(bytes([0x45]) + bytes(19) + data, ip_header=True) == init


def test_an_init_ack_carries_the_name_of_who_answers():
    for name in ("ci/a", "ci/ab", "ci/abc"):
        ack = sctp.Packet(3868, 20001, 7, sctp.INIT_ACK, 9, name)
        data = sctp.build(ack)
        assert len(data) % 4 == 0
        assert sctp.parse(data, ip_header=False) == ack


def test_anything_else_is_no_packet_of_ours():
    abort = bytearray(sctp.build(sctp.Packet(1, 2, 3, sctp.INIT, 4)))
    abort[12] = 6

    assert sctp.parse(bytes(abort), ip_header=False) is None
    assert sctp.parse(b"", ip_header=True) is None
