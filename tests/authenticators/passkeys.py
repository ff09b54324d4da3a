"""Tests passkeys of python-fido2, another implementation of WebAuthn, against a running daemon. The
library writes the CBOR, the COSE keys and the JSON of both ceremonies."""

import hashlib
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fido2.cose import ES256, EdDSA
from fido2.utils import websafe_decode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorData,
    CollectedClientData,
    RegistrationResponse,
)

FLAG = AuthenticatorData.FLAG


class Es256Key:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public = ES256.from_cryptography_key(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


class EdDsaKey:
    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.public = EdDSA.from_cryptography_key(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


class Passkey:
    """A passkey that is synced between the devices of its user, so its counter is always 0."""

    def __init__(self, key, origin: str):
        self.key, self.origin = key, origin
        self.id, self.handle = os.urandom(32), b""

    def client_data(self, kind: str, options: dict) -> CollectedClientData:
        return CollectedClientData.create(type=kind, challenge=options["challenge"], origin=self.origin)

    def data(self, rp_id: str, flags, credential: bytes = b"") -> AuthenticatorData:
        flags |= FLAG.UP | FLAG.UV | FLAG.BE | FLAG.BS
        return AuthenticatorData.create(hashlib.sha256(rp_id.encode()).digest(), flags, 0, credential)

    def create(self, options: dict) -> dict:
        """Returns the response to `PublicKeyCredentialCreationOptionsJSON`."""
        self.handle = websafe_decode(options["user"]["id"])
        credential = AttestedCredentialData.create(bytes(16), self.id, self.key.public)
        made = AttestationObject.create("none", self.data(options["rp"]["id"], FLAG.AT, credential), {})
        client_data = self.client_data("webauthn.create", options)
        response = AuthenticatorAttestationResponse(client_data=client_data, attestation_object=made)
        return dict(RegistrationResponse(raw_id=self.id, response=response))

    def get(self, options: dict) -> dict:
        """Returns the response to `PublicKeyCredentialRequestOptionsJSON`."""
        client_data = self.client_data("webauthn.get", options)
        data = self.data(options["rpId"], FLAG(0))
        response = AuthenticatorAssertionResponse(
            client_data=client_data,
            authenticator_data=data,
            signature=self.key.sign(data + client_data.hash),
            user_handle=self.handle,
        )
        return dict(AuthenticationResponse(raw_id=self.id, response=response))


def walk(daemon, check, problem, name: str, key):
    """Adds a passkey, logs in with it with and without the password, and proves the user again."""
    password, address = f"the horse of {name} 47", f"{name}@example.com"
    daemon.person(name)
    token = daemon.login(name)["userToken"]
    passkey = Passkey(key, f"http://localhost:{daemon.port}")
    begun = daemon.call("POST", "/api/me/passkeys/options", {}, token)
    body = {"challenge": begun["challenge"], "name": "Phone", "credential": passkey.create(begun["publicKey"])}
    added = daemon.call("POST", "/api/me/passkeys", body, token)
    check(f"{name}: a passkey is added", added["factor"]["backedUp"] is True, str(added))

    def log_in(path: str, begun: dict, more: dict) -> dict:
        credential = passkey.get(begun["publicKey"])
        return daemon.call("POST", path, {"challenge": begun["challenge"], "credential": credential} | more)

    begun = daemon.call("POST", "/api/login/passkey/options", {})
    tokens = log_in("/api/login/passkey", begun, {})
    check(f"{name}: a passkey logs in without a password", "userToken" in tokens, str(tokens))
    required = problem(daemon, "/api/login", {"email": address, "password": password})
    check(f"{name}: a login needs the passkey", required["methods"] == ["passkey", "recovery-code"], str(required))
    begun = daemon.call("POST", "/api/login/passkey/options", {"challenge": required["challenge"]})
    tokens = log_in("/api/login/factor", begun, {"method": "passkey"})
    check(f"{name}: a passkey completes a login", "userToken" in tokens, str(tokens))
    begun = daemon.call("POST", "/api/step-up/options", {}, tokens["userToken"])
    proof = {"method": "passkey", "challenge": begun["challenge"], "credential": passkey.get(begun["publicKey"])}
    tokens = daemon.call("POST", "/api/step-up", proof, tokens["userToken"])
    check(f"{name}: a passkey proves the user again", "userToken" in tokens, str(tokens))
    passkey.origin = "https://example.net"
    begun = daemon.call("POST", "/api/login/passkey/options", {})
    body = {"challenge": begun["challenge"], "credential": passkey.get(begun["publicKey"])}
    refused = problem(daemon, "/api/login/passkey", body)
    check(f"{name}: another website is refused", refused["code"] == "invalid-credentials", str(refused))
