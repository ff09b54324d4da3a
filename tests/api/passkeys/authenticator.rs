//! A software authenticator. It creates passkeys and signs with them, and it can be made to lie in
//! every part of a response.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey::secret::{random_bytes, sha256_of};
use serde_json::{Value, json};

use super::cbor;

/// The flags of authenticator data.
pub const PRESENT: u8 = 0x01;
pub const VERIFIED: u8 = 0x04;
pub const ELIGIBLE: u8 = 0x08;
pub const BACKED_UP: u8 = 0x10;
pub const ATTESTED: u8 = 0x40;
pub const EXTENSIONS: u8 = 0x80;

/// The key pair of a passkey.
pub enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<rsa::KeyPair>),
}

impl Key {
    pub fn es256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Self::Es256(pair.expect("a key"))
    }

    pub fn ed_dsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().expect("a key"))
    }

    pub fn rs256() -> Self {
        Self::Rs256(Box::new(rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key")))
    }

    /// The entries of the public key in COSE.
    pub fn cose(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                cbor::ec2_key(-7, 1, (&point[1..33], &point[33..]))
            }
            Self::EdDsa(pair) => vec![
                (cbor::integer(1), cbor::integer(1)),
                (cbor::integer(3), cbor::integer(-8)),
                (cbor::integer(-1), cbor::integer(6)),
                (cbor::integer(-2), cbor::bytes(pair.public_key().as_ref())),
            ],
            Self::Rs256(pair) => {
                let public = pair.public_key();
                let n = public.modulus().big_endian_without_leading_zero();
                let e = public.exponent().big_endian_without_leading_zero();
                cbor::rsa_key(n, e)
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
        }
    }
}

/// A passkey on a device.
pub struct Passkey {
    pub key: Key,
    pub credential_id: Vec<u8>,
    /// The user handle, which the device learned in the registration.
    pub handle: Vec<u8>,
    pub counter: u32,
    /// The flags of every response.
    pub flags: u8,
    pub rp_id: String,
    pub origin: String,
}

/// The parts of a response. A test changes them before the response is written.
pub struct Draft {
    pub id: Value,
    pub raw_id: Value,
    pub kind: Value,
    /// The members of the client data in JSON, in this order.
    pub client_data: Vec<(&'static str, Value)>,
    /// Bytes after the client data.
    pub client_data_tail: Vec<u8>,
    pub rp_id: String,
    pub flags: u8,
    pub counter: u32,
    /// The credential id inside of the authenticator data.
    pub credential_id: Vec<u8>,
    pub cose: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes after the authenticator data, for example extensions.
    pub tail: Vec<u8>,
    pub fmt: Vec<u8>,
    pub statement: Vec<u8>,
    /// Bytes after the attestation object.
    pub object_tail: Vec<u8>,
    /// How many bytes of the attestation object or of the authenticator data are cut off.
    pub cut: usize,
    pub handle: Value,
    pub signature: Option<Vec<u8>>,
    /// Members that replace those of `response`.
    pub response: Vec<(&'static str, Value)>,
}

impl Passkey {
    /// Creates a device that knows no account yet.
    pub fn new(key: Key) -> Self {
        Self {
            key,
            credential_id: random_bytes::<32>().to_vec(),
            handle: Vec::new(),
            counter: 0,
            flags: PRESENT | VERIFIED | ELIGIBLE | BACKED_UP,
            rp_id: "latchkey.test".to_owned(),
            origin: "https://latchkey.test".to_owned(),
        }
    }

    /// Answers `navigator.credentials.create` with these options.
    pub fn create(&mut self, options: &Value, change: impl FnOnce(&mut Draft)) -> Value {
        self.handle = decoded(&options["user"]["id"]);
        let mut draft = self.draft("webauthn.create", &options["challenge"]);
        draft.flags |= ATTESTED;
        draft.cose = self.key.cose();
        change(&mut draft);
        let mut data = draft.authenticator_data();
        if draft.flags & ATTESTED != 0 {
            data.extend([0; 16]);
            data.extend(u16::try_from(draft.credential_id.len()).expect("short").to_be_bytes());
            data.extend(&draft.credential_id);
            data.extend(cbor::map(&draft.cose));
        }
        data.extend(&draft.tail);
        let mut object = cbor::map(&[
            (cbor::text("fmt"), draft.fmt.clone()),
            (cbor::text("attStmt"), draft.statement.clone()),
            (cbor::text("authData"), cbor::bytes(&data)),
        ]);
        object.truncate(object.len() - draft.cut);
        object.extend(&draft.object_tail);
        draft.to_json(json!({
            "clientDataJSON": encoded(&draft.client_data()),
            "attestationObject": encoded(&object),
            "transports": ["internal", "hybrid", "internal", "of-tomorrow"],
        }))
    }

    /// Answers `navigator.credentials.get` with these options.
    pub fn get(&self, options: &Value, change: impl FnOnce(&mut Draft)) -> Value {
        let mut draft = self.draft("webauthn.get", &options["challenge"]);
        change(&mut draft);
        let mut data = draft.authenticator_data();
        data.extend(&draft.tail);
        data.truncate(data.len() - draft.cut);
        let client_data = draft.client_data();
        let signed = [data.as_slice(), &sha256_of(&client_data)].concat();
        let signature = draft.signature.clone().unwrap_or_else(|| self.key.sign(&signed));
        draft.to_json(json!({
            "clientDataJSON": encoded(&client_data),
            "authenticatorData": encoded(&data),
            "signature": encoded(&signature),
            "userHandle": draft.handle,
        }))
    }

    fn draft(&self, kind: &str, challenge: &Value) -> Draft {
        Draft {
            id: encoded(&self.credential_id).into(),
            raw_id: encoded(&self.credential_id).into(),
            kind: "public-key".into(),
            client_data: vec![
                ("type", kind.into()),
                ("challenge", challenge.clone()),
                ("origin", self.origin.clone().into()),
                ("crossOrigin", false.into()),
            ],
            client_data_tail: Vec::new(),
            rp_id: self.rp_id.clone(),
            flags: self.flags,
            counter: self.counter,
            credential_id: self.credential_id.clone(),
            cose: Vec::new(),
            tail: Vec::new(),
            fmt: cbor::text("none"),
            statement: cbor::map(&[]),
            object_tail: Vec::new(),
            cut: 0,
            handle: encoded(&self.handle).into(),
            signature: None,
            response: Vec::new(),
        }
    }
}

impl Draft {
    /// Sets a member of the client data.
    pub fn says(&mut self, name: &'static str, value: impl Into<Value>) {
        self.client_data.retain(|(it, _)| *it != name);
        self.client_data.push((name, value.into()));
    }

    /// Uses another credential id in the whole response.
    pub fn named(&mut self, id: Vec<u8>) {
        self.id = encoded(&id).into();
        self.raw_id = self.id.clone();
        self.credential_id = id;
    }

    fn client_data(&self) -> Vec<u8> {
        let member = |(name, value): &(&str, Value)| format!("{}:{value}", json!(name));
        let members: Vec<String> = self.client_data.iter().map(member).collect();
        let mut bytes = format!("{{{}}}", members.join(",")).into_bytes();
        bytes.extend(&self.client_data_tail);
        bytes
    }

    fn authenticator_data(&self) -> Vec<u8> {
        let mut data = sha256_of(self.rp_id.as_bytes()).to_vec();
        data.push(self.flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn to_json(&self, mut response: Value) -> Value {
        for (name, value) in &self.response {
            response[*name] = value.clone();
        }
        json!({
            "id": self.id,
            "rawId": self.raw_id,
            "type": self.kind,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": { "credProps": { "rk": true } },
            "response": response,
        })
    }
}

/// The forms of base64url that WebAuthn uses.
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decoded(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().expect("a text")).expect("base64url")
}
