"""A standard resource server: verifies a vaultToken with PyJWT, and knows only the URL of the
issuer.

    verify.py ISSUER VAULT_TOKEN [--audience vault] [--algorithms ES256,EdDSA,RS256]

It finds the keys by discovery (/.well-known/openid-configuration, then `jwks_uri`). The accepted
algorithms are a list of this server and never come from the token (RFC 8725 §3.1). It prints the
claims as JSON, and exits with 1 if the token is invalid.
"""

import argparse
import json
import sys
import urllib.request

import jwt

# The claims that RFC 9068 §2.2 requires, and nbf.
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id"]


def discover(issuer: str) -> str:
    """Reads the discovery document and returns the URL of the key set. The document must name the
    same issuer (RFC 8414 §3.3)."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    with urllib.request.urlopen(url, timeout=10) as answer:
        document = json.load(answer)
    if document["issuer"] != issuer:
        raise SystemExit(f"discovery names another issuer: {document['issuer']}")
    return document["jwks_uri"]


def verify(issuer: str, token: str, audience: str, algorithms: list[str]) -> dict:
    """Returns the claims of a valid token. If the token is invalid, raises a jwt.PyJWTError with
    the reason."""
    key = jwt.PyJWKClient(discover(issuer), timeout=10).get_signing_key_from_jwt(token)
    complete = jwt.decode_complete(
        token,
        key.key,
        algorithms=algorithms,
        audience=audience,
        issuer=issuer,
        leeway=60,
        options={"require": REQUIRED},
    )
    if complete["header"].get("typ") != "at+jwt":
        raise jwt.InvalidTokenError(f"typ is {complete['header'].get('typ')!r}, not at+jwt (RFC 9068 §4)")
    return complete["payload"]


def refuses(issuer: str, token: str, audience: str, algorithms: list[str]) -> bool:
    """Says whether this token is invalid."""
    try:
        verify(issuer, token, audience, algorithms)
    except jwt.PyJWTError:
        return True
    return False


def spoil(token: str) -> str:
    """Returns the token with another first character in its signature. In the first character all
    bits are part of the signature."""
    head, payload, signature = token.split(".")
    return ".".join([head, payload, ("B" if signature[0] == "A" else "A") + signature[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("issuer")
    parser.add_argument("token")
    parser.add_argument("--audience", default="vault")
    parser.add_argument("--algorithms", default="ES256,EdDSA,RS256", type=lambda names: names.split(","))
    given = parser.parse_args()
    rules = (given.audience, given.algorithms)
    try:
        claims = verify(given.issuer, given.token, *rules)
    except jwt.PyJWTError as error:
        print(f"the token does not hold: {error}", file=sys.stderr)
        return 1
    # The verifier must refuse invalid tokens.
    if not refuses(given.issuer, spoil(given.token), *rules):
        print("a token with a spoilt signature was accepted", file=sys.stderr)
        return 1
    if not refuses(given.issuer, given.token, "another audience", given.algorithms):
        print("a token for another audience was accepted", file=sys.stderr)
        return 1
    print(json.dumps(claims, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
