"""A small DNS server for the domain `example`, over UDP and TCP: what a name is says what it does.

Run with the address to listen on.
"""

import ipaddress
import socket
import struct
import sys
import threading

A, CNAME, AAAA = 1, 5, 28
RECORDS = {
    ("www.example", A): ["198.51.100.80"],
    ("six.example", AAAA): ["2001:db8:ffff::80"],
    ("both.example", A): ["198.51.100.80"],
    ("both.example", AAAA): ["2001:db8:ffff::80"],
    ("many.example", A): [f"198.51.100.{n}" for n in range(1, 101)],
    ("alias.example", CNAME): ["www.example"],
}
NAMES = {name for name, _ in RECORDS}


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, value):
    data = wire(value) if kind == CNAME else ipaddress.ip_address(value).packed
    return owner + struct.pack("!HHIH", kind, 1, 300, len(data)) + data


def answer(question, limit):
    id, _, _, _, _, additional = struct.unpack("!6H", question[:12])
    end, labels = 12, []
    while length := question[end]:
        labels.append(question[end + 1 : end + 1 + length].decode().lower())
        end += 1 + length
    (kind,) = struct.unpack("!H", question[end + 1 : end + 3])
    end += 5
    if additional:  # an OPT record: its class is the size that fits
        limit = max(limit, struct.unpack("!H", question[end + 3 : end + 5])[0])
    name = ".".join(labels)
    owner = b"\xc0\x0c"
    found = [record(owner, kind, value) for value in RECORDS.get((name, kind), ())]
    for alias in RECORDS.get((name, CNAME), ()):
        found = [record(owner, CNAME, alias)] + [record(wire(alias), kind, v) for v in RECORDS.get((alias, kind), ())]
    flags = 0x8580 if name in NAMES else 0x8583
    body = question[12:end]
    reply = struct.pack("!6H", id, flags, 1, len(found), 0, 0) + body + b"".join(found)
    if len(reply) > limit:
        reply = struct.pack("!6H", id, flags | 0x0200, 1, 0, 0, 0) + body
    return reply


def over_tcp(listener):
    while True:
        stream, _ = listener.accept()
        with stream, stream.makefile("rb") as incoming:
            (length,) = struct.unpack("!H", incoming.read(2))
            reply = answer(incoming.read(length), 65535)
            stream.sendall(struct.pack("!H", len(reply)) + reply)


def main(address):
    listener = socket.create_server((address, 53))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    threading.Thread(target=over_tcp, args=(listener,), daemon=True).start()
    print("listening", flush=True)
    while True:
        question, peer = udp.recvfrom(4096)
        print(f"asked by {peer[0]}", flush=True)
        udp.sendto(answer(question, 512), peer)


if __name__ == "__main__":
    main(sys.argv[1])
