#!/usr/bin/env python3
"""Reads a tallystick log with nothing of tallystick's: written from the specifications alone.

    tally_reader.py LOG LOG_KEYS FLEET_ROOT

C2SP tlog-tiles, tlog-checkpoint and signed-note; RFC 6962 hashes; DSSE; X.509; protobuf's wire format
and the field numbers of attest/statement.proto and attest/explanation.proto. Standard library and the
`cryptography` package. Prints, as CSV, host,tenant,device,held_ns for what all statements of the log
add up to, then a line "explains KIND@INDEX of HOST, sequence N, by WHO: WHY" (or "withdraws") for each
that an explanation names, a line "not conserved: DEVICE of HOST, sequence N" for each device and
window that does not add up, and a last line "verified N attestations, ROOT"; or one line that begins with "refused: " and exit status 2.
"""
import base64
import hashlib
import os
import struct
import sys
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

WIDTH = 256
STATEMENT = b"application/vnd.tallystick.statement.v1+protobuf"
STATEMENT_SIGNING = "2.25.178307330326388478625988293987992111"
EXPLANATION = b"application/vnd.tallystick.explanation.v1+protobuf"
EXPLANATION_SIGNING = "2.25.301654771459546570444291617678444593943"


class Refused(Exception):
    pass


def demand(condition, message):
    if not condition:
        raise Refused(message)


def read(path):
    with open(path, "rb") as file:
        return file.read()


# ---- RFC 6962 ----

def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def tree_hash(nodes):
    """MTH over leaf (or subtree) hashes."""
    if not nodes:
        return hashlib.sha256(b"").digest()
    if len(nodes) == 1:
        return nodes[0]
    split = 1
    while split * 2 < len(nodes):
        split *= 2
    return hashlib.sha256(b"\1" + tree_hash(nodes[:split]) + tree_hash(nodes[split:])).digest()


# ---- Signed note and checkpoint ----

def parse_vkeys(text):
    keys = {}
    for line in text.decode().splitlines():
        if not line or line.startswith("#"):
            continue
        name, key_id, encoded = line.split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        if raw[0] == 1:
            key = ed25519.Ed25519PublicKey.from_public_bytes(raw[1:])
            expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
        else:
            demand(raw[0] == 2, "vkey of an unknown type")
            key = serialization.load_der_public_key(raw[1:])
            expected = hashlib.sha256(raw[1:]).digest()[:4]
        demand(bytes.fromhex(key_id) == expected, "vkey's id is not its key's")
        keys[(name, expected)] = key
    demand(keys, "no log keys")
    return keys


def open_checkpoint(note, keys):
    text, _, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    good = set()
    for line in signatures.decode().splitlines():
        dash, name, encoded = line.split(" ")
        demand(dash == "\u2014", "not a signature line")
        raw = base64.b64decode(encoded, validate=True)
        key = keys.get((name, raw[:4]))
        if key is None:
            continue
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(raw[4:], text)
            else:
                key.verify(raw[4:], text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refused("checkpoint: bad signature of " + name)
        good.add((name, raw[:4]))
    demand(good == set(keys), "checkpoint: not signed by every key")
    origin, size, root = text.decode().splitlines()[:3]
    demand(all(name == origin for name, _ in keys), "checkpoint: of another log")
    return int(size), base64.b64decode(root, validate=True)


# ---- Tiles ----

def tile_path(level, index, width):
    digits = "%03d" % (index % 1000)
    index //= 1000
    while index:
        digits = "x%03d/" % (index % 1000) + digits
        index //= 1000
    return "tile/%s/%s" % (level, digits) + (".p/%d" % width if width < WIDTH else "")


def widths(count):
    """(index, width) of each tile that `count` hashes or entries fill."""
    for index in range(count // WIDTH):
        yield index, WIDTH
    if count % WIDTH:
        yield count // WIDTH, count % WIDTH


def read_entries(log, size):
    for index, width in widths(size):
        bundle = read(os.path.join(log, tile_path("entries", index, width)))
        at = 0
        for _ in range(width):
            demand(at + 2 <= len(bundle), "an entry bundle is cut short")
            (length,) = struct.unpack_from(">H", bundle, at)
            entry = bundle[at + 2:at + 2 + length]
            demand(len(entry) == length, "an entry bundle is cut short")
            at += 2 + length
            yield entry
        demand(at == len(bundle), "an entry bundle goes on behind its last entry")


def check_tiles(log, leaves, root):
    """Every hash tile of every level against what the entries hash to; the root of all."""
    level, nodes = 0, leaves
    while nodes:
        above = []
        for index, width in widths(len(nodes)):
            own = nodes[index * WIDTH:index * WIDTH + width]
            path = tile_path(level, index, width)
            demand(read(os.path.join(log, path)) == b"".join(own), path + " is not of the entries")
            if width == WIDTH:
                above.append(tree_hash(own))
        level, nodes = level + 1, above
    demand(tree_hash(leaves) == root, "the root is not that of the entries")


# ---- Protobuf wire format ----

def varint(data, at):
    value = shift = 0
    while True:
        demand(at < len(data) and shift < 70, "protobuf: a varint is cut short")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & (2**64 - 1), at


def fields(data):
    """{field number: [values]}, messages and strings as bytes."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            length, at = varint(data, at)
            value = data[at:at + length]
            demand(len(value) == length, "protobuf: a field is cut short")
            at += length
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            demand(tag & 7 == 5, "protobuf: an unknown wire type")
            value, at = data[at:at + 4], at + 4
        found.setdefault(tag >> 3, []).append(value)
    return found


def last(message, number, default):
    return message.get(number, [default])[-1]


# ---- DSSE, certificates, chains ----

def pae(kind, body):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def utc(certificate, name):
    aware = getattr(certificate, name + "_utc", None)  # from cryptography 42 on
    return aware or getattr(certificate, name).replace(tzinfo=timezone.utc)


def certified(der, root, wall_ns, usage, other_usage):
    certificate = x509.load_der_x509_certificate(der)
    demand(certificate.issuer == root.subject, "certificate of another authority")
    try:
        root.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                                 ec.ECDSA(certificate.signature_hash_algorithm))
    except InvalidSignature:
        raise Refused("certificate that the authority did not sign")
    when = datetime.fromtimestamp(wall_ns // 10**9, timezone.utc)
    demand(utc(certificate, "not_valid_before") <= when <= utc(certificate, "not_valid_after"),
           "certificate was not valid then")
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    usages = [each.dotted_string for each in usages]
    demand(usage in usages and other_usage not in usages, "certificate is not for signing that")
    return certificate


def certified_key(der, root, host, wall_ns):
    certificate = certified(der, root, wall_ns, STATEMENT_SIGNING, EXPLANATION_SIGNING)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    demand(host in names.get_values_for_type(x509.DNSName), "certificate does not name the host")
    return certificate.public_key()


def is_line(text, longest):
    return len(text) <= longest and all(0x20 <= byte < 0x7F for byte in text)


def explain(payload, signature, root, digests):
    """A line for each finding it names; that a rule finds it is not this reader's to say."""
    said = fields(payload)
    certificate = certified(last(said, 6, b""), root, last(said, 4, 0), EXPLANATION_SIGNING,
                            STATEMENT_SIGNING)
    try:
        certificate.public_key().verify(signature, pae(EXPLANATION, payload),
                                        ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refused("bad signature of an explanation")
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    demand(len(names) == 1, "an explanation's signer has not one name")
    why = last(said, 2, b"")
    demand(why.strip(b" ") and is_line(why, 1000), "why is not one printable line")
    demand(is_line(last(said, 3, b""), 200), "reference is not one printable line")
    named = [fields(name) for name in said.get(1, [])]
    demand(1 <= len(named) <= 32, "an explanation of no or too many findings")
    for name in named:
        kind, index = last(name, 1, b"").decode(), last(name, 3, 0)
        demand(len(last(name, 4, b"")) == 32, "an entry's SHA-256 is not 32 bytes")
        if index >= len(digests) or digests[index] != last(name, 4, b""):
            yield "explains nothing: no such entry %d, by %s" % (index, names[0].value)
            continue
        yield "%s %s@%d of %s, sequence %d, by %s: %s" % (
            "withdraws" if last(said, 5, 0) else "explains", kind, index,
            last(name, 5, b"").decode(), last(name, 6, 0), names[0].value, why.decode())


class Chain:
    def __init__(self):
        self.sequence, self.digest, self.key = 0, b"", None
        self.said = set()  # digests of all entries
        self.boot, self.end, self.window = None, None, None
        self.devices = {}
        self.balance = {}  # of the window: device index -> [holds, occupied, nobody's at most]


def admit(chain, host, entry, payload, signature, statement, root):
    """Its window's length; None for the other side of a fork, which the log keeps and no sum counts."""
    window = fields(last(statement, 5, b""))
    begin, end = last(window, 1, 0), last(window, 2, 0)
    if 14 in statement:
        chain.key = certified_key(last(statement, 14, b""), root, host, last(window, 4, 0))
    demand(chain.key is not None, "a chain begins without a certificate")
    try:
        chain.key.verify(signature, pae(STATEMENT, payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refused("bad signature")
    digest = hashlib.sha256(entry).digest()
    demand(digest not in chain.said, "an attestation lies in the log twice")
    chain.said.add(digest)
    if last(statement, 3, 0) <= chain.sequence:
        return None
    demand(last(statement, 3, 0) == chain.sequence + 1, "a sequence does not follow")
    demand(last(statement, 4, b"") == chain.digest, "previous is not the one before")
    demand(begin < end, "a window ends before it begins")
    boot, part = last(statement, 2, b""), last(statement, 6, 0)
    demand(len(boot) == 16, "a boot id is not 16 bytes")
    if part > 0:
        demand(chain.window == (boot, begin, end, part - 1), "a part does not follow")
    elif boot == chain.boot:
        demand(begin == chain.end, "a window does not begin where the last ended")
    if 8 in statement:
        chain.devices = {}
        for device in fields(last(statement, 8, b"")).get(1, []):
            device = fields(device)
            chain.devices[last(device, 1, 0)] = last(device, 2, b"")
    chain.sequence, chain.digest = chain.sequence + 1, digest
    chain.boot, chain.end, chain.window = boot, end, (boot, begin, end, part)
    return end - begin


def add_usage(held, chain, host, statement, length):
    workloads = [fields(workload) for workload in statement.get(9, [])]
    for usage in statement.get(10, []):
        usage = fields(usage)
        ns = last(usage, 3, 0)
        demand(ns <= length, "held longer than the window")
        workload = workloads[last(usage, 2, 0)]
        tenant, service = last(workload, 3, b""), last(workload, 9, b"")
        demand(not (tenant and service), "a service that is a tenant's")
        party = tenant.decode() if not service else "service:" + service.decode()
        key = (host, party, chain.devices[last(usage, 1, 0)].decode())
        held[key] = held.get(key, 0) + ns


def conserve(chain, host, statement, length):
    """What does not add up of the window that ends with this part: how long anybody held a device is
    measured apart from who, lies between the longest hold and all of them, but for edges that were
    counted before the totals were read, and 0.1 s; yields a line for each device."""
    recording = fields(last(statement, 11, b""))
    if last(statement, 6, 0) == 0:
        chain.balance = {}
    for usage in map(fields, statement.get(10, [])):
        chain.balance.setdefault(last(usage, 1, 0), [[], 0, 0])[0].append(last(usage, 3, 0))
    for row in map(fields, statement.get(16, [])):
        device = chain.balance.setdefault(last(row, 1, 0), [[], 0, 0])
        demand(device[1] == 0 and last(row, 3, 0) <= last(row, 2, 0) <= length,
               "occupied longer than the window, or told twice")
        device[1:] = last(row, 2, 0), last(row, 3, 0)
    if last(statement, 6, 0) + 1 < last(statement, 7, 0) or not last(recording, 11, 0):
        return
    tolerance = 2 * (last(recording, 9, 0) + last(recording, 12, 0)) + 100000000
    for index, (holds, occupied, late) in sorted(chain.balance.items()):
        if not max(holds, default=0) - tolerance <= occupied <= sum(holds) + late + tolerance:
            yield "not conserved: %s of %s, sequence %d" % (
                chain.devices[index].decode(), host, last(statement, 3, 0))


def main(log, log_keys, fleet_root):
    size, root_hash = open_checkpoint(read(os.path.join(log, "checkpoint")),
                                      parse_vkeys(read(log_keys)))
    root = x509.load_pem_x509_certificate(read(fleet_root))
    chains, held, leaves, digests, explained, found = {}, {}, [], [], [], []
    statements = 0
    for index, entry in enumerate(read_entries(log, size)):
        try:
            leaves.append(leaf_hash(entry))
            envelope = fields(entry)
            kind = last(envelope, 2, b"")
            demand(kind in (STATEMENT, EXPLANATION), "a payload type that this reader does not know")
            demand(len(envelope.get(3, [])) == 1, "not one signature")
            signature = last(fields(envelope[3][0]), 1, b"")
            payload = last(envelope, 1, b"")
            if kind == EXPLANATION:
                explained += explain(payload, signature, root, digests)
                digests.append(hashlib.sha256(entry).digest())
                continue
            digests.append(hashlib.sha256(entry).digest())
            statements += 1
            statement = fields(payload)
            host = last(statement, 1, b"").decode()
            chain = chains.setdefault(host, Chain())
            length = admit(chain, host, entry, payload, signature, statement, root)
            if length is not None:
                add_usage(held, chain, host, statement, length)
                found += conserve(chain, host, statement, length)
        except Refused as error:
            raise Refused("log index %d: %s" % (index, error))
    check_tiles(log, leaves, root_hash)
    for (host, tenant, device), ns in sorted(held.items()):
        print("%s,%s,%s,%d" % (host, tenant, device, ns))
    for line in explained + found:
        print(line)
    print("verified %d attestations, %s" % (statements, base64.b64encode(root_hash).decode()))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Refused, OSError, ValueError, IndexError, KeyError) as error:
        print("refused: %s" % error)
        sys.exit(2)
