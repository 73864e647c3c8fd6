"""Makes sealed.json, the known answer of seal_test.go, from the description in doc.go alone (needs the package
"cryptography")."""
import base64
import json
import struct
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

key = bytes(range(16))
nonce = bytes(range(0xA0, 0xAC))
asset = "0b7c2d4e9f0a4c5d8e1f2a3b4c5d6e7f"
expires = 1795000000
payload = {
    "source_region": "region-a",
    "manifest_url": "https://s3.a.example/assetflow/manifests/p/a/m?X-Amz-Signature=00&X-Amz-Expires=3600",
    "manifest_sha256": "5f" * 32,
    "manifest_size": 12345,
    "issued_at": "2026-11-18T09:46:40.5Z",
    "metadata": {"name": "Größe <1>", "type": "SCENE", "tags": ["a", "b"], "extra_meta": {"x": [1, 2.50]}},
}
text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).replace("2.5]", "2.50]").encode()
plain = struct.pack(">I", len(text)) + text
plain += bytes(-len(plain) % 4096)
data = b""
for part in (b"assetflow replication info v1", b"AES128_GCM", b"2026-11", asset.encode()):
    data += struct.pack(">I", len(part)) + part
data += struct.pack(">q", expires)
iv = base64.b64encode(nonce).decode()
with open("sealed.json", "w") as out:
    json.dump({
        "asset_id": asset,
        "asset_info": iv + ":" + base64.b64encode(AESGCM(key).encrypt(nonce, plain, data)).decode(),
        "encryption_info": {"algorithm": "AES128_GCM", "key_id": "2026-11", "iv": iv},
        "expire_time": expires,
    }, out, indent=2)
    out.write("\n")
