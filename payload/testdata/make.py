"""Makes encrypted.json, the known answers of codec_internal_test.go, from the description in doc.go alone (needs the
package "cryptography")."""
import base64
import json
import struct
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

keys = {"2026-05": bytes(range(32)), "2026-11": bytes(range(32, 64))}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def message(metadata, data):
    entries = b"".join(field(1, field(1, k.encode()) + field(2, v)) for k, v in sorted(metadata.items()))
    return entries + (field(2, data) if data else b"")


def encrypt(key_id, first, metadata, data):
    nonce = bytes(range(first, first + 12))
    outer = {"encoding": b"binary/encrypted", "encryption-key-id": key_id.encode()}
    associated = b""
    for text in [b"assetflow payload v1"] + [t for k in sorted(outer) for t in (k.encode(), outer[k])]:
        associated += struct.pack(">I", len(text)) + text
    sealed = AESGCM(keys[key_id]).encrypt(nonce, message(metadata, data), associated)
    text = lambda b: base64.b64encode(b).decode()
    return {
        "key_id": key_id,
        "nonce": text(nonce),
        "payload": {"metadata": {k: text(v) for k, v in metadata.items()}, "data": text(data)},
        "encrypted": {"metadata": {k: text(v) for k, v in outer.items()}, "data": text(b"\x01" + nonce + sealed)},
    }


long = json.dumps({"file_name": "Größe.zip", "text": "x" * 300}, ensure_ascii=False).encode()
with open("encrypted.json", "w") as out:
    json.dump([
        encrypt("2026-11", 0xA0, {"encoding": b"json/plain"}, b'{"JobID":"0192f000","Mode":"AddNew"}'),
        encrypt("2026-05", 0xB0, {"encoding": b"json/protobuf", "messageType": b"temporal.api.common.v1.Payload"}, long),
        encrypt("2026-11", 0xC0, {"encoding": b"binary/null"}, b""),
        encrypt("2026-11", 0xD0, {}, b""),
    ], out, indent=1)
    out.write("\n")
