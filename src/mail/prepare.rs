//! From a claimed row to a letter: is it still wanted, what is its token, what does it say.

use std::time::Duration;

use latchkey_entity::{email_change, user};
use sea_orm::{DbErr, EntityTrait};

use crate::clock::millis;
use crate::mail::letter::Letter;
use crate::mail::queue::Claim;
use crate::mail::render::{Draft, Reader, Unrenderable, render};
use crate::mail::{Kind, MailData, Mailer, mailed_token};
use crate::secret::{self, Secret};
use crate::store::OneTimeToken;
use crate::tenancy::invitations;

/// How long the link lives that undoes a change of address: it goes to a mailbox that may be read rarely.
const UNDO_TTL: Duration = Duration::from_hours(7 * 24);

/// What to do with a claimed row.
pub(super) enum Prepared {
    /// Send it; and first put its token, where it carries one.
    Ready(Box<Letter>, Option<OneTimeToken>),
    /// It is not wanted any more.
    Unwanted,
    /// It cannot be rendered.
    Poison(&'static str),
}

impl Mailer {
    /// Looks whether the row is still wanted, and composes its mail.
    pub(super) async fn prepare(&self, claim: &Claim) -> Result<Prepared, DbErr> {
        let (row, kind) = (&claim.row, claim.kind);
        let Ok(data) = serde_json::from_str::<MailData>(&row.data) else {
            return Ok(Prepared::Poison("its data is unreadable"));
        };
        let Some(user) = user::Entity::find_by_id(row.user_id).one(self.setup.db.reader()).await?
        else {
            return Ok(Prepared::Unwanted);
        };
        let wanted = match kind {
            Kind::PasswordChanged | Kind::SessionReused | Kind::NewDevice => true,
            Kind::Confirm => user.verified_at.is_none(),
            Kind::Recover => match data.password_version {
                Some(version) => version == user.password_version,
                None => return Ok(Prepared::Poison("no password version")),
            },
            Kind::ChangeEmail | Kind::EmailChangeNotice => match data.change_id {
                Some(id) => {
                    let change =
                        email_change::Entity::find_by_id(id).one(self.setup.db.reader()).await?;
                    change.is_some_and(|change| {
                        change.state == "pending"
                            || (kind == Kind::EmailChangeNotice && change.state == "done")
                    })
                }
                None => return Ok(Prepared::Poison("no change of address")),
            },
            // Revoked, answered, or sent anew with another link.
            Kind::Invitation => {
                let token = mailed_token(&self.setup.token_key, kind, &row.recipient, row.id);
                let digest = secret::sha256(token.expose().as_bytes());
                invitations::is_open(&self.setup.db, &digest, self.now()).await?
            }
        };
        if !wanted {
            return Ok(Prepared::Unwanted);
        }
        let reader = if user.verified_at.is_some() { Reader::Verified } else { Reader::Unproven };
        Ok(match self.compose(claim, &data, reader) {
            Ok((letter, token)) => Prepared::Ready(Box::new(letter), token),
            Err(Unrenderable(why)) => Prepared::Poison(why),
        })
    }

    fn compose(
        &self,
        claim: &Claim,
        data: &MailData,
        reader: Reader,
    ) -> Result<(Letter, Option<OneTimeToken>), Unrenderable> {
        let (row, kind, now) = (&claim.row, claim.kind, self.now());
        let lives = self.lives(kind);
        let token = kind
            .has_token()
            .then(|| mailed_token(&self.setup.token_key, kind, &row.recipient, row.id));
        let link = kind.page().map(|page| {
            let page = format!("{}/{page}", self.setup.public_url);
            Secret::new(match &token {
                Some(token) => format!("{page}?token={}", token.expose()),
                None => page,
            })
        });
        let put = token.as_ref().zip(kind.token()).map(|(token, token_kind)| OneTimeToken {
            kind: token_kind,
            user_id: row.user_id,
            row_id: row.id,
            digest: secret::sha256(token.expose().as_bytes()),
            stamp: data.password_version.unwrap_or_default(),
            subject: data.change_id,
            expires_at: now + millis(lives),
        });
        let draft =
            Draft { kind, data, reader, service: &self.service, link: link.as_ref(), lives };
        let rendered = render(&draft)?;
        let letter = self.sender.compose(
            (row.id, kind),
            (&row.recipient, &self.host),
            rendered,
            (link, token),
            now,
        )?;
        Ok((letter, put))
    }

    fn lives(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Confirm | Kind::ChangeEmail => self.setup.verification_ttl,
            Kind::Recover => self.setup.recovery_ttl,
            Kind::EmailChangeNotice => UNDO_TTL,
            Kind::Invitation => invitations::LIFE,
            Kind::PasswordChanged | Kind::SessionReused | Kind::NewDevice => Duration::ZERO,
        }
    }
}
