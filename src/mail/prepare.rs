//! Composes the letter of a claimed row: checks that the mail is still wanted, derives its token
//! and renders its text.

use latchkey_entity::email_change;
use latchkey_entity::{invitation, user};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait, PaginatorTrait as _, QueryFilter as _};
use uuid::Uuid;

use crate::clock::{UnixMillis, millis};
use crate::database::Db;
use crate::database::tenant_scope::{self, TenantScope};
use crate::mail::kinds::Wanted;
use crate::mail::letter::Letter;
use crate::mail::queue::Claim;
use crate::mail::render::{Draft, Reader, Unrenderable, render};
use crate::mail::undo::UndoKind;
use crate::mail::{Kind, MailData, Mailer, mailed_token};
use crate::secret::{self, Secret};
use crate::store::OneTimeToken;

/// Where the token of a letter must be stored before the letter is sent.
pub(super) enum Known {
    /// There is nothing to store: the letter carries no token, or the database already has the
    /// token.
    Already,
    /// The token must be stored in the token store.
    InStore(OneTimeToken),
    /// The token must be stored in the row that the link undoes.
    WithRow {
        kind: UndoKind,
        id: Uuid,
        /// SHA-256 of the token.
        digest: String,
        /// When the token expires.
        until: UnixMillis,
    },
}

/// What to do with a claimed row.
pub(super) enum Prepared {
    /// Send the letter after its token is stored.
    Ready(Box<Letter>, Known),
    /// The mail is not wanted any more.
    Unwanted,
    /// It is not possible to render the mail. The text says why.
    Poison(&'static str),
}

impl Mailer {
    /// Checks that the row is still wanted, and composes its mail.
    pub(super) async fn prepare(&self, claim: &Claim) -> Result<Prepared, DbErr> {
        let (row, kind) = (&claim.row, claim.kind);
        let Ok(data) = serde_json::from_str::<MailData>(&row.data) else {
            return Ok(Prepared::Poison("its data cannot be read"));
        };
        let Some(user) = user::Entity::find_by_id(row.user_id).one(self.setup.db.reader()).await?
        else {
            return Ok(Prepared::Unwanted);
        };
        let wanted = match kind.declared().wanted {
            Wanted::Always => true,
            Wanted::WhileUnproven => user.verified_at.is_none(),
            Wanted::WhilePasswordIsUnchanged => match data.password_version {
                Some(version) => version == user.password_version,
                None => return Ok(Prepared::Poison("its data has no password version")),
            },
            Wanted::WhileChangeIs(states) => match data.change_id {
                Some(id) => {
                    let change = email_change::Entity::find_by_id(id);
                    let change = change.one(self.setup.db.reader()).await?;
                    change.is_some_and(|change| states.contains(&change.state))
                }
                None => return Ok(Prepared::Poison("its data has no change of address")),
            },
            Wanted::WhileInvitationIsOpen => {
                let token = mailed_token(&self.setup.token_key, kind, &row.recipient, row.id);
                let digest = secret::sha256(token.expose().as_bytes());
                is_invitation_open(&self.setup.db, &digest, self.now()).await?
            }
        };
        if !wanted {
            return Ok(Prepared::Unwanted);
        }
        let reader = if user.verified_at.is_some() { Reader::Verified } else { Reader::Unproven };
        Ok(match self.compose(claim, &data, reader) {
            Ok((letter, known)) => Prepared::Ready(Box::new(letter), known),
            Err(Unrenderable(why)) => Prepared::Poison(why),
        })
    }

    fn compose(
        &self,
        claim: &Claim,
        data: &MailData,
        reader: Reader,
    ) -> Result<(Letter, Known), Unrenderable> {
        let (row, kind, now) = (&claim.row, claim.kind, self.now());
        let link_ttl = kind.link_ttl(&self.setup.link_ttls);
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
        let digest = token.as_ref().map(|token| secret::sha256(token.expose().as_bytes()));
        let until = now + millis(link_ttl);
        let known = match (kind.token(), digest, data.change_id) {
            (Some(token_kind), Some(digest), subject) => Known::InStore(OneTimeToken {
                kind: token_kind,
                user_id: row.user_id,
                row_id: row.id,
                digest,
                stamp: data.password_version.unwrap_or_default(),
                subject,
                expires_at: until,
            }),
            (None, Some(digest), Some(id)) => match kind {
                Kind::EmailChangeNotice => {
                    Known::WithRow { kind: UndoKind::EmailChange, id, digest, until }
                }
                Kind::FirstFactorAdded => {
                    Known::WithRow { kind: UndoKind::FirstFactor, id, digest, until }
                }
                _ => Known::Already,
            },
            _ => Known::Already,
        };
        let draft =
            Draft { kind, data, reader, service: &self.service, link: link.as_ref(), link_ttl };
        let rendered = render(&draft)?;
        let letter = self.sender.compose(
            (row.id, kind),
            (&row.recipient, &self.host),
            rendered,
            (link, token),
            now,
        )?;
        Ok((letter, known))
    }
}

/// Whether the invitation with this digest can still be accepted.
async fn is_invitation_open(db: &Db, digest: &str, now: UnixMillis) -> Result<bool, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Invitation(digest)).await?;
    let open = invitation::Entity::find()
        .filter(invitation::Column::Digest.eq(digest))
        .filter(invitation::Column::ExpiresAt.gt(now))
        .count(&tx)
        .await?;
    Ok(open > 0)
}
