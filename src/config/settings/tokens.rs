//! The settings of tokens, keys and sessions: `tokens.*`, `secrets.*`, `sessions.*`,
//! `verification.*`, `recovery.*` and `introspection.*`.

use std::time::Duration;

use super::settings;
use crate::config::IntrospectionClient;
use crate::config::kind::Item::{Client, PasskeyOrigin};
use crate::config::kind::Kind::{
    self, Bool, DomainName, Key, List, Secret as SecretText, Text, Url, Word,
};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::config::setting::{D, EXAMPLE_KEY, H, M, S};
use crate::config::words::VaultAlgorithm;
use crate::secret::{MasterKey, Secret};

settings! {
    /// The userToken and the vaultToken
    Tokens = "tokens" {
        /// The signature algorithm of vaultTokens. With `HS256`, every service that can verify a
        /// vaultToken can also forge vaultTokens.
        algorithm: VaultAlgorithm = "tokens.algorithm", Word(VaultAlgorithm::WORDS), Is("ES256");
        /// The issuer of both tokens (the claim `iss`).
        issuer: String = "tokens.issuer", Url(&["http", "https"]),
            Derived("`public_url`", "https://auth.example.com");
        /// The audience of vaultTokens (the claim `aud`).
        audience: String = "tokens.audience", Text, Is("vault");
        /// The shared secret of at least 32 bytes, for `HS256` only.
        secret: Option<Secret<String>> = "tokens.secret", SecretText,
            Nothing("an-example-secret-of-at-least-32-bytes");
        /// Set it to `true` to confirm that you know the risk of `HS256`: every service that
        /// verifies tokens can also forge them.
        allow_shared_secret: bool = "tokens.allow_shared_secret", Bool, Is("false");
        /// How long a userToken is valid.
        user_ttl: Duration = "tokens.user_ttl", Kind::Duration(S, 24 * H), Is("15m");
        /// How long a vaultToken is valid. This is also the longest time for which a service that
        /// checks only the signature accepts a revoked token.
        vault_ttl: Duration = "tokens.vault_ttl", Kind::Duration(S, H), Is("5m");
        /// How long a key signs before a new key replaces it. This applies to the keys of both
        /// tokens. The replacement needs no restart.
        rotate_every: Duration = "tokens.rotate_every", Kind::Duration(H, 4_000 * D), Is("90d");
    }
}

settings! {
    /// The master key
    Secrets = "secrets" {
        /// 32 random bytes in base64 (`openssl rand -base64 32`). The master key encrypts the other
        /// keys of latchkey, and the tokens in mails are derived from it. If you lose the master
        /// key, users have to log in again, links in mails stop working, authenticator apps and
        /// recovery codes are refused, and earlier audit rows cannot be verified.
        master_key: Option<MasterKey> = "secrets.master_key", Key,
            Derived("created in `data_dir` at the first start; required with PostgreSQL", EXAMPLE_KEY);
        /// The earlier master key. Set it while you replace the master key by a new one.
        master_key_previous: Option<MasterKey> = "secrets.master_key_previous", Key,
            Nothing(EXAMPLE_KEY);
    }
}

settings! {
    /// How long a login lasts
    Sessions: Copy = "sessions" {
        /// How long a session lasts after its last refresh. No session lasts longer than
        /// `sessions.absolute_ttl`.
        idle_ttl: Duration = "sessions.idle_ttl", Kind::Duration(S, 400 * D), Is("14d");
        /// How long a session lasts after the login, even if it is refreshed.
        absolute_ttl: Duration = "sessions.absolute_ttl", Kind::Duration(S, 400 * D), Is("30d");
        /// How long a refresh token is still accepted after a new refresh token has replaced it.
        /// Browser tabs that refresh at the same time and clients that did not receive a response
        /// need this time.
        refresh_grace: Duration = "sessions.refresh_grace", Kind::Duration(0, 5 * M), Is("30s");
        /// How long a login or a step-up is fresh. Sensitive actions, for example the creation of a
        /// project key, need a fresh login or step-up.
        fresh_for: Duration = "sessions.fresh_for", Kind::Duration(S, 24 * H), Is("15m");
    }
}

settings! {
    /// Second factors
    Factors: Copy = "factors" {
        /// How long a trusted device needs no second factor. The time begins when the user proves
        /// the second factor on this device. With `0s`, every login needs the second factor.
        trust_device_ttl: Duration = "factors.trust_device_ttl", Kind::Duration(0, 400 * D),
            Is("30d");
    }
}

settings! {
    /// Passkeys, and the name of this installation in authenticators
    Webauthn = "webauthn" {
        /// The name that authenticator apps and passkeys show. It must not contain a colon.
        rp_name: String = "webauthn.rp_name", Text, Is("latchkey");
        /// The domain of the passkeys (*RP ID*). Passkeys work on this domain and on its
        /// subdomains. If you change the domain, all passkeys stop working.
        rp_id: Option<String> = "webauthn.rp_id", DomainName,
            Derived(
                "the host of `public_url`; `localhost` if this host is a loopback address",
                "example.com",
            );
        /// The origins of web pages and apps that may use the passkeys. Write an Android app as
        /// `android:apk-key-hash:…` with the SHA-256 of its signing certificate in base64url.
        origins: Vec<String> = "webauthn.origins", List(PasskeyOrigin),
            Derived("the origin of `public_url` and `http.cors_origins`", "https://app.example.com");
    }
}

settings! {
    /// The link that confirms an email address
    Verification = "verification" {
        /// How long the link that confirms an email address is valid.
        ttl: Duration = "verification.ttl", Kind::Duration(S, 30 * D), Is("24h");
    }
}

settings! {
    /// The link that sets a new password
    Recovery = "recovery" {
        /// How long the link that sets a new password is valid.
        ttl: Duration = "recovery.ttl", Kind::Duration(S, 24 * H), Is("30m");
    }
}

settings! {
    /// Resource servers of the operator
    Introspection = "introspection" {
        /// Your resource servers that may introspect every token, including userTokens. Write each
        /// server as `id:secret`. The secret needs at least 22 characters (`openssl rand -base64
        /// 32`).
        clients: Vec<IntrospectionClient> = "introspection.clients", List(Client),
            Nothing("gateway:an-example-secret-of-32-characters");
    }
}
