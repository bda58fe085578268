"""Judges an export of a Doorward audit log (.dwaudit), apart from Doorward itself.

    python3 verify_audit.py FILE [--key NAME+ID+KEY] [--since CHECKPOINT_FILE]

Needs Python 3.11 and the package `cryptography`. Exit code 0 if every entry is
what was signed, 1 if not.
"""
import argparse
import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def check(holds: bool, index: int | None, what: str) -> None:
    if not holds:
        sys.exit(f"index {index}: {what}" if index is not None else what)


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def opened(note: str, vkey: str) -> str:
    """The text of a signed note (C2SP signed-note, Ed25519)."""
    name, _, key = vkey.split("+", 2)
    key = base64.b64decode(key, validate=True)
    check(key[0] == 1 and len(key) == 33, None, "the key is not one of Ed25519")
    text, signatures = note.rsplit("\n\n", 1)
    for line in signatures.splitlines():
        _, signer, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        if signer == name and signature[:4] == sha(name.encode(), b"\n", key)[:4]:
            try:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], (text + "\n").encode())
                return text + "\n"
            except InvalidSignature:
                pass
    sys.exit("a note is not signed by the key")


def checkpoint(note: str, vkey: str, origin: str) -> tuple[int, bytes]:
    name, size, root = opened(note, vkey).splitlines()[:3]
    check(name == origin, None, "a checkpoint is of another log")
    return int(size), base64.b64decode(root, validate=True)


def around(low: int, high: int, first: int, last: int) -> list[tuple[int, int]]:
    """The largest subtrees with nothing of first..last, from left to right."""
    if low >= high or (first <= low and high <= last):
        return []
    if high <= first or last <= low:
        return [(low, high)]
    middle = low + (1 << (high - low - 1).bit_length() - 1)
    return around(low, middle, first, last) + around(middle, high, first, last)


def root_of(low: int, high: int, hashes: dict[tuple[int, int], bytes]) -> bytes:
    """RFC 9162 section 2.1.1, over leaves and subtrees."""
    if (low, high) in hashes:
        return hashes[low, high]
    middle = low + (1 << (high - low - 1).bit_length() - 1)
    return sha(b"\1", root_of(low, middle, hashes), root_of(middle, high, hashes))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("file")
    options.add_argument("--key")
    options.add_argument("--since")
    asked = options.parse_args()
    data = open(asked.file, "rb").read()
    check(data.endswith(b"\n"), None, "the file is truncated")
    lines = data.decode().split("\n")[:-1]
    check(all(compact(json.loads(line)) == line for line in lines), None, "a line is in another form")
    header, *entries, end = map(json.loads, lines)
    check("end" in end, len(entries), "the file is truncated: its end is missing")
    vkey, origin, first, last = header["vkey"], header["origin"], header["from"], header["to"]
    check(asked.key is None or asked.key.rsplit("+", 1)[1] == vkey.rsplit("+", 1)[1], None, "another key")
    hashes = {}
    for at, line in enumerate(entries, first):
        entry, fields = line["entry"], line["fields"]
        check(entry["idx"] == at and entry["v"] == 1, at, "entries were removed, moved or added")
        check(entry["tenant"] == header["tenant"], at, "the entry is of another tenant")
        leaf = sha(b"\0", compact(entry).encode())
        check(leaf.hex() == line["leaf"], at, "the entry was changed")
        for name, (salt, value) in fields.items():
            told = sha(b"dw-audit-field\0", bytes.fromhex(salt), value.encode()).hex()
            check(entry.get("commitments", {}).get(name) == told, at, f"the field {name} was changed")
        hashes[at, at + 1] = leaf
    check(first + len(entries) == last and end["end"]["entries"] == len(entries), last, "entries are missing")
    size, root = checkpoint(end["end"]["checkpoint"], vkey, origin)
    outer = around(0, size, first, last)
    given = [bytes.fromhex(text) for text in header["before"] + header["after"]]
    check(size == header["size"] and len(outer) == len(given), None, "the proof is of another size")
    hashes.update(zip(outer, given))
    check(root_of(0, size, hashes) == root, first, "an entry from here on is not what was signed")
    before = hashlib.sha256("".join(line + "\n" for line in lines[:-1]).encode()).digest()
    sealed = f"{origin}/export\n{len(entries)}\n{base64.b64encode(before).decode()}\n"
    check(opened(end["end"]["seal"], vkey) == sealed, None, "the seal over the file does not fit")
    kept = [open(asked.since).read()] if asked.since else []
    for note in header["checkpoints"] + kept:
        old, old_root = checkpoint(note, vkey, origin)
        check(old <= size, size, "the log was cut")
        check(first <= old <= last, None, "this program compares checkpoints within the export only")
        check(not old or root_of(0, old, hashes) == old_root, first, f"the log is not what it was at {old} entries")
    print(f"ok: {len(entries)} entries ({first} to {last - 1}) of {size} in the log")


main()
