"""Verifies access tokens with PyJWT as a service would, and forges some, on orders from standard input.

An order is a line of JSON: keys (the URL of the key set) and token, and either issuer and audience or
"forge": true. The answer is a line of JSON: {"claims", "header"} or {"refused": the error's name}, or
{"forged": {what it is: token}}.
"""

import base64
import hashlib
import hmac
import json
import sys

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


def verify(order):
    """Verifies the token with the key that the key set has under its name."""
    keys, token = jwt.PyJWKClient(order["keys"]), order["token"]
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token, key, algorithms=ALGORITHMS, issuer=order["issuer"], audience=order["audience"]
        )
    except jwt.PyJWTError as error:
        return {"refused": type(error).__name__}
    return {"claims": claims, "header": jwt.get_unverified_header(token)}


def forge(order):
    """Tokens of the same claims under HMAC, keyed by what everybody knows of the public key."""
    token = order["token"]
    key = jwt.PyJWKClient(order["keys"]).get_signing_key_from_jwt(token).key
    known = {"pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)}
    known["pem without its last line end"] = known["pem"].rstrip(b"\n")
    known["der"] = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    header, payload, _ = token.split(".")
    header = {**json.loads(decoded(header)), "alg": "HS256"}
    message = encoded(json.dumps(header, separators=(",", ":")).encode()) + "." + payload

    def under(secret):
        return message + "." + encoded(hmac.digest(secret, message.encode(), hashlib.sha256))

    forged = {f"HS256 under the {name}": under(secret) for name, secret in known.items()}
    none = {**header, "alg": "none"}
    forged["none"] = encoded(json.dumps(none, separators=(",", ":")).encode()) + "." + payload + "."
    return forged


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


for line in sys.stdin:
    order = json.loads(line)
    answer = {"forged": forge(order)} if order.get("forge") else verify(order)
    print(json.dumps(answer), flush=True)
