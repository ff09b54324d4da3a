"""The passkeys of soft-webauthn, a software authenticator for tests of other websites."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.utils import sha256, websafe_decode, websafe_encode
from soft_webauthn import SoftWebauthnDevice

from passkeys import Account

# The offset of the flags in authenticator data (WebAuthn, section 6.1), behind the SHA-256 of the
# relying party's id.
FLAGS_AT = 32
USER_VERIFIED = 0x04


def with_user_verified(data: bytes) -> bytes:
    return data[:FLAGS_AT] + bytes([data[FLAGS_AT] | USER_VERIFIED]) + data[FLAGS_AT + 1 :]


class VerifyingDevice(SoftWebauthnDevice):
    """soft-webauthn never reports that the user is verified, and has no option for it. This device
    adds the flag, because latchkey requires it. If `verifies` is false, the device does not change
    what the library returns."""

    verifies = True

    def create(self, options: dict, origin: str) -> dict:
        created = super().create(options, origin)
        if not self.verifies:
            return created
        response = created["response"]
        attestation = cbor.decode(response["attestationObject"])
        attestation["authData"] = with_user_verified(attestation["authData"])
        response["attestationObject"] = cbor.encode(attestation)
        return created

    def get(self, options: dict, origin: str) -> dict:
        given = super().get(options, origin)
        if not self.verifies:
            return given
        response = given["response"]
        response["authenticatorData"] = with_user_verified(response["authenticatorData"])
        signed = response["authenticatorData"] + sha256(response["clientDataJSON"])
        response["signature"] = self.private_key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return given


class SoftPasskey:
    """A passkey on one device. Unlike the passkeys of python-fido2, it counts its signatures."""

    is_synced = False

    def __init__(self, origin: str):
        self.device, self.origin = VerifyingDevice(), origin

    def create(self, options: dict) -> dict:
        """Returns the response to `PublicKeyCredentialCreationOptionsJSON`."""
        user = options["user"] | {"id": websafe_decode(options["user"]["id"])}
        return to_json(self.device.create({"publicKey": with_bytes(options) | {"user": user}}, self.origin))

    def get(self, options: dict) -> dict:
        """Returns the response to `PublicKeyCredentialRequestOptionsJSON`."""
        return to_json(self.device.get({"publicKey": with_bytes(options)}, self.origin))


def with_bytes(options: dict) -> dict:
    """The device expects bytes, as `navigator.credentials` does."""
    return options | {"challenge": websafe_decode(options["challenge"])}


def to_json(credential: dict) -> dict:
    """Does the work of `PublicKeyCredential.toJSON()`: binary members become base64url without
    padding. The device puts padding in `id`, which browsers do not."""
    response = {name: websafe_encode(value) for name, value in credential["response"].items()}
    raw_id = websafe_encode(credential["rawId"])
    return credential | {"id": raw_id, "rawId": raw_id, "response": response}


def without_verification(daemon, check, problem, name: str):
    """Checks that the daemon refuses the library's own device, which does not verify the user."""
    passkey = SoftPasskey(f"http://localhost:{daemon.port}")
    account = Account(daemon, problem, name, passkey)
    passkey.device.verifies = False
    refused = problem(daemon, "/api/me/passkeys", account.registration(), account.token)
    is_refused = refused["code"] == "validation-failed"
    check(f"{name}: a passkey without user verification is not added", is_refused, str(refused))

    passkey.device.verifies = True
    daemon.call("POST", "/api/me/passkeys", account.registration(), account.token)
    passkey.device.verifies = False
    refused = problem(daemon, "/api/login/passkey", account.login())
    is_refused = refused["code"] == "invalid-credentials"
    check(f"{name}: a passkey without user verification does not log in", is_refused, str(refused))
