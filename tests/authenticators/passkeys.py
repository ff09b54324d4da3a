"""Tests the passkeys of another implementation of WebAuthn against a running daemon, and has the
passkeys of python-fido2. That library writes the CBOR, the COSE keys and the JSON of both
ceremonies."""

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
ELSEWHERE = "https://example.net"


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

    is_synced = True

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


class Account:
    """A user of the daemon, whose passkey has `origin`, `is_synced`, `create` and `get`."""

    def __init__(self, daemon, problem, name: str, passkey):
        self.daemon, self.problem, self.passkey = daemon, problem, passkey
        self.password, self.email = f"the horse of {name} 47", f"{name}@example.com"
        daemon.person(name)
        self.token = daemon.login(name)["userToken"]

    def registration(self) -> dict:
        """Returns the body that adds the passkey."""
        begun = self.daemon.call("POST", "/api/me/passkeys/options", {}, self.token)
        return {"challenge": begun["challenge"], "name": "Phone", "credential": self.passkey.create(begun["publicKey"])}

    def proof(self, path: str, body: dict, token: str | None = None) -> dict:
        """Requests options at `path`. Returns the body of a login or of a step-up."""
        begun = self.daemon.call("POST", path, body, token)
        return {"challenge": begun["challenge"], "credential": self.passkey.get(begun["publicKey"])}

    def login(self) -> dict:
        """Returns the body of a login without a password."""
        return self.proof("/api/login/passkey/options", {})


def walk(daemon, check, problem, name: str, passkey):
    """Adds a passkey, logs in with it with and without the password, and proves the user again.
    Then uses it in a hostile way."""
    account = Account(daemon, problem, name, passkey)
    origin, passkey.origin = passkey.origin, ELSEWHERE
    refused = problem(daemon, "/api/me/passkeys", account.registration(), account.token)
    check(f"{name}: another website adds no passkey", refused["code"] == "validation-failed", str(refused))
    passkey.origin = origin
    added = daemon.call("POST", "/api/me/passkeys", account.registration(), account.token)
    check(f"{name}: a passkey is added", added["factor"]["backedUp"] is passkey.is_synced, str(added))

    used = account.login()
    tokens = daemon.call("POST", "/api/login/passkey", used)
    check(f"{name}: a passkey logs in without a password", "userToken" in tokens, str(tokens))
    required = problem(daemon, "/api/login", {"email": account.email, "password": account.password})
    check(f"{name}: a login needs the passkey", required["methods"] == ["passkey", "recovery-code"], str(required))
    proof = account.proof("/api/login/passkey/options", {"challenge": required["challenge"]})
    tokens = daemon.call("POST", "/api/login/factor", proof | {"method": "passkey"})
    check(f"{name}: a passkey completes a login", "userToken" in tokens, str(tokens))
    proof = account.proof("/api/step-up/options", {}, tokens["userToken"]) | {"method": "passkey"}
    tokens = daemon.call("POST", "/api/step-up", proof, tokens["userToken"])
    check(f"{name}: a passkey proves the user again", "userToken" in tokens, str(tokens))
    misuse(account, check, name, used, tokens["userToken"])


def misuse(account: Account, check, name: str, used: dict, token: str):
    """Checks that the daemon refuses responses that were sent before, and another website. `used` is
    the body of a login, and `token` belongs to a session with a fresh second factor."""
    daemon, problem = account.daemon, account.problem
    refused = problem(daemon, "/api/login/passkey", used)
    check(f"{name}: a login that is sent again is refused", refused["code"] == "challenge-invalid", str(refused))
    again = account.login() | {"credential": used["credential"]}
    refused = problem(daemon, "/api/login/passkey", again)
    is_refused = refused["code"] == "invalid-credentials"
    check(f"{name}: an old response to a new challenge is refused", is_refused, str(refused))

    account.passkey.origin = ELSEWHERE
    refused = problem(daemon, "/api/login/passkey", account.login())
    check(f"{name}: another website does not log in", refused["code"] == "invalid-credentials", str(refused))
    proof = account.proof("/api/step-up/options", {}, token) | {"method": "passkey"}
    refused = problem(daemon, "/api/step-up", proof, token)
    check(f"{name}: another website does not prove the user", refused["code"] == "invalid-credentials", str(refused))
