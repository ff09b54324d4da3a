//! `POST /api/login/factor`: completes a login with a second factor.

use utoipa::openapi::schema::ObjectBuilder;

use crate::account::{FactorCode, FactorProof, TrustDevice};
use crate::app::App;
use crate::factor::FactorMethod;
use crate::http::answer::{self, Answer};
use crate::http::api::passkey::Credential;
use crate::http::body_type::{BrokenRule, RequestBody, Text, request_body};
use crate::http::json::Object;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Tokens;

request_body! {
    /// The challenge of a login, and a second factor.
    pub struct LoginFactor {
        /// The member `challenge` of the problem `factor-required`.
        challenge: Secret<String>,
        /// The method of the second factor.
        method: Method,
        /// The code. Only the methods `totp` and `recovery-code` need it. Spaces are ignored. In a
        /// recovery code, hyphens and upper or lower case are ignored too.
        code: Option<Secret<String>>,
        /// `AuthenticationResponseJSON` of WebAuthn Level 3. Only the method `passkey` needs it.
        /// See `POST /api/login/passkey/options`.
        credential: Option<Credential>,
        /// If true, this device needs no second factor for `factors.trust_device_ttl`. A recovery
        /// code cannot make a device trusted.
        trust_device as "trustDevice": Option<bool>,
    }
}

/// The method of a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(pub FactorMethod);

impl Method {
    const ALL: [FactorMethod; 3] =
        [FactorMethod::Totp, FactorMethod::Passkey, FactorMethod::RecoveryCode];
}

impl Text for Method {
    type Error = BrokenRule;

    fn parse(text: String) -> Result<Self, BrokenRule> {
        let unknown = BrokenRule("unknown", "`method` must be totp, passkey or recovery-code.");
        Self::ALL.into_iter().find(|it| it.name() == text).map(Self).ok_or(unknown)
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.enum_values(Some(Self::ALL.map(FactorMethod::name)))
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let LoginFactor { challenge, method: Method(method), code, credential, trust_device } =
        LoginFactor::read_and_check(
            request.json()?,
            |body, (_, method, code, credential, trust)| {
                if let Some(Method(method)) = method {
                    needs(body, *method, (code.as_ref(), credential.as_ref()));
                }
                let is_recovery = *method == Some(Method(FactorMethod::RecoveryCode));
                if is_recovery && *trust == Some(Some(true)) {
                    let rule = "A recovery code cannot make a device trusted.";
                    body.reject("trustDevice", "not-allowed", rule);
                }
            },
        )?;
    let trust = if trust_device == Some(true) { TrustDevice::Yes } else { TrustDevice::No };
    let factor = proof(method, code, credential)?;
    let mut client = request.as_client();
    let logged_in =
        app.account().log_in_with_factor(&mut client, &challenge, &factor, trust).await?;
    let mut answer = answer::json(&logged_in.tokens);
    answer::known_device(&mut answer, &logged_in.device_token);
    Ok(answer)
}

/// Checks that a body has the member that its method needs. A member that breaks its own rule is
/// none, and its error is recorded already.
pub(super) fn needs(
    body: &mut Object,
    method: FactorMethod,
    (code, credential): (Option<&Option<Secret<String>>>, Option<&Option<Credential>>),
) {
    match method {
        FactorMethod::Totp | FactorMethod::RecoveryCode if matches!(code, Some(None)) => {
            body.reject("code", "required", "`code` is required.");
        }
        FactorMethod::Passkey if matches!(credential, Some(None)) => {
            body.reject("credential", "required", "`credential` is required.");
        }
        _ => {}
    }
}

fn proof(
    method: FactorMethod,
    code: Option<Secret<String>>,
    credential: Option<Credential>,
) -> Result<FactorProof, Problem> {
    match (method, code, credential) {
        (FactorMethod::Passkey, _, Some(Credential(response))) => {
            Ok(FactorProof::Passkey(response))
        }
        (FactorMethod::Totp | FactorMethod::RecoveryCode, Some(code), _) => {
            Ok(FactorProof::Code(FactorCode { method, code }))
        }
        _ => Err(Code::ValidationFailed.into()),
    }
}

pub fn operation() -> Operation {
    Operation::new("loginFactor", Tag::Session, "Complete a login with a second factor")
        .describes(
            "A challenge is valid for 5 minutes and for five wrong codes or passkeys. It also ends \
             when the password or the factors change. A wrong code or passkey gets \
             `invalid-credentials`, whatever is wrong with it, and an ended challenge gets \
             `challenge-invalid`. After ten wrong codes in a row, the client has to wait.",
        )
        .takes::<LoginFactor>()
        .gives::<Tokens>("Tokens of a new session. The response carries `X-Latchkey-Device`.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::ChallengeInvalid,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
