//! `POST /api/step-up`: proves the user again in a live session (RFC 9470).

use utoipa::openapi::schema::ObjectBuilder;

use super::login_factor;
use crate::account::{FactorCode, StepUp as Proof};
use crate::app::App;
use crate::factor::FactorMethod;
use crate::http::answer::{self, Answer};
use crate::http::api::passkey::Credential;
use crate::http::body_type::{BrokenRule, RequestBody, Text, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::{Principal, Tokens};

request_body! {
    /// A proof of the user.
    pub struct StepUp {
        /// The method of the proof.
        method: ProofMethod,
        /// The current password. Only the method `password` needs it.
        password: Option<Secret<String>>,
        /// The code. Only the methods `totp` and `recovery-code` need it.
        code: Option<Secret<String>>,
        /// The member `challenge` of `POST /api/step-up/options`. Only the method `passkey` needs
        /// it.
        challenge: Option<Secret<String>>,
        /// `AuthenticationResponseJSON` of WebAuthn Level 3. Only the method `passkey` needs it.
        credential: Option<Credential>,
    }
}

/// A method by which a user proves themselves in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofMethod {
    Password,
    Factor(FactorMethod),
}

impl ProofMethod {
    const ALL: [Self; 4] = [
        Self::Password,
        Self::Factor(FactorMethod::Totp),
        Self::Factor(FactorMethod::Passkey),
        Self::Factor(FactorMethod::RecoveryCode),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Factor(method) => method.name(),
        }
    }
}

impl Text for ProofMethod {
    type Error = BrokenRule;

    fn parse(text: String) -> Result<Self, BrokenRule> {
        let rule = "`method` must be password, totp, passkey or recovery-code.";
        let unknown = BrokenRule("unknown", rule);
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(unknown)
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.enum_values(Some(Self::ALL.map(Self::name)))
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let body = StepUp::read_and_check(
        request.json()?,
        |body, (method, password, code, challenge, credential)| match method {
            Some(ProofMethod::Password) if matches!(password, Some(None)) => {
                body.reject("password", "required", "`password` is required.");
            }
            Some(ProofMethod::Factor(method)) => {
                login_factor::needs(body, *method, (code.as_ref(), credential.as_ref()));
                if *method == FactorMethod::Passkey && matches!(challenge, Some(None)) {
                    body.reject("challenge", "required", "`challenge` is required.");
                }
            }
            _ => {}
        },
    )?;
    let tokens = app.account().step_up(&mut request.as_client(), caller, proof(body)?).await?;
    Ok(answer::json(&tokens))
}

fn proof(body: StepUp) -> Result<Proof, Problem> {
    let StepUp { method, password, code, challenge, credential } = body;
    match (method, password, code, challenge.zip(credential)) {
        (ProofMethod::Password, Some(password), _, _) => Ok(Proof::Password(password)),
        (ProofMethod::Factor(FactorMethod::Passkey), _, _, Some((challenge, credential))) => {
            Ok(Proof::Passkey(challenge, credential.0))
        }
        (ProofMethod::Factor(method), _, Some(code), _) if method != FactorMethod::Passkey => {
            Ok(Proof::Code(FactorCode { method, code }))
        }
        _ => Err(Code::ValidationFailed.into()),
    }
}

pub fn operation() -> Operation {
    Operation::new("stepUp", Tag::Session, "Prove yourself again")
        .describes(
            "Some actions need a fresh proof and otherwise get `step-up-required`. A proof by \
             password has the level `aal1`. A passkey, and a code in a session that proved the \
             password or a passkey, have the level `aal2`. A proof below the level of the session \
             changes nothing. A wrong proof does not end the session.",
        )
        .bearer()
        .takes::<StepUp>()
        .gives::<Tokens>("Tokens of this session, with fresh `acr`, `amr` and `auth_time`.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::ChallengeInvalid,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
