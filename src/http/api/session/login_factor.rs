//! `POST /api/login/factor`: completes a login with a second factor.

use utoipa::openapi::schema::ObjectBuilder;

use crate::account::{FactorCode, TrustDevice};
use crate::app::App;
use crate::factor::FactorMethod;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{BrokenRule, RequestBody, Text, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Tokens;

request_body! {
    /// The challenge of a login, and a code.
    pub struct LoginFactor {
        /// The member `challenge` of the problem `factor-required`.
        challenge: Secret<String>,
        /// The method of the code.
        method: CodeMethod,
        /// The code. Spaces are ignored. In a recovery code, hyphens and upper or lower case are
        /// ignored too.
        code: Secret<String>,
        /// If true, this device needs no second factor for `factors.trust_device_ttl`. A recovery
        /// code cannot make a device trusted.
        trust_device as "trustDevice": Option<bool>,
    }
}

/// A method whose proof is a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeMethod(pub FactorMethod);

impl CodeMethod {
    const ALL: [FactorMethod; 2] = [FactorMethod::Totp, FactorMethod::RecoveryCode];
}

impl Text for CodeMethod {
    type Error = BrokenRule;

    fn parse(text: String) -> Result<Self, BrokenRule> {
        let unknown = BrokenRule("unknown", "`method` must be totp or recovery-code.");
        Self::ALL.into_iter().find(|it| it.name() == text).map(Self).ok_or(unknown)
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.enum_values(Some(Self::ALL.map(FactorMethod::name)))
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let LoginFactor { challenge, method: CodeMethod(method), code, trust_device } =
        LoginFactor::read_and_check(request.json()?, |body, (_, method, _, trust)| {
            let is_recovery = *method == Some(CodeMethod(FactorMethod::RecoveryCode));
            if is_recovery && *trust == Some(Some(true)) {
                let rule = "A recovery code cannot make a device trusted.";
                body.reject("trustDevice", "not-allowed", rule);
            }
        })?;
    let trust = if trust_device == Some(true) { TrustDevice::Yes } else { TrustDevice::No };
    let (code, mut client) = (FactorCode { method, code }, request.as_client());
    let logged_in = app.account().log_in_with_code(&mut client, &challenge, &code, trust).await?;
    let mut answer = answer::json(&logged_in.tokens);
    answer::known_device(&mut answer, &logged_in.device_token);
    Ok(answer)
}

pub fn operation() -> Operation {
    Operation::new("loginFactor", Tag::Session, "Complete a login with a second factor")
        .describes(
            "A challenge is valid for 5 minutes and for five wrong codes. It also ends when the \
             password or the factors change. A wrong code gets `invalid-credentials`, whatever is \
             wrong with it, and an ended challenge gets `challenge-invalid`. After ten wrong codes \
             in a row, the client has to wait.",
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
