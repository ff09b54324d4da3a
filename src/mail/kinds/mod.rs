//! The kinds of mail. The file of a kind declares everything about it: its name, its link, when it
//! is still wanted, whether it merges, and its text in every language.
//!
//! A new kind is a file in this folder and one line of `mail_kinds!` below.

mod change_email;
mod confirm;
mod email_change_notice;
mod factor_added;
mod factor_removed;
mod factors_reset;
mod first_factor_added;
mod invitation;
mod new_device;
mod password_changed;
mod recover;
mod recovery_code_used;
mod recovery_codes_replaced;
mod session_reused;

use std::time::Duration;

pub use email_change_notice::UNDO_TTL;
use latchkey_entity::email_change::EmailChangeState;

pub use invitation::INVITATION_TTL;

use crate::mail::words::{Facts, Message};
use crate::store::TokenKind;

/// The declaration of a kind.
pub(super) struct MailKind {
    /// The name in the table, in logs and in metrics.
    pub name: &'static str,
    pub link: Link,
    /// Whether the mail goes to an email address that the reader has not proven yet, or that
    /// another user typed. Such a mail does not call the reader by name.
    pub asks_for_proof: bool,
    /// When a mail that waits is still sent.
    pub wanted: Wanted,
    /// Whether a recipient gets at most one mail of this kind an hour, which tells how often the
    /// event happened. A kind that does not merge needs a budget.
    pub merges: bool,
    /// The text in the language of `facts`.
    pub text: fn(&Facts<'_>) -> Message,
}

/// The link in a mail. A page is a path below `public_url`.
pub(super) enum Link {
    None,
    /// A link without a token.
    Page(&'static str),
    /// A link with a token of the token store.
    StoredToken {
        page: &'static str,
        token: TokenKind,
        ttl: fn(&LinkTtls) -> Duration,
    },
    /// A link with a token whose digest is in the row that the link acts on.
    RowToken {
        page: &'static str,
        ttl: Duration,
    },
}

/// When a mail that waits in the outbox is still sent.
pub(super) enum Wanted {
    Always,
    /// While the user has not proven the email address.
    WhileUnproven,
    /// While the password is the same as at the request.
    WhilePasswordIsUnchanged,
    /// While the change of address is in one of these states.
    WhileChangeIs(&'static [EmailChangeState]),
    /// While the invitation is not revoked, accepted or declined, and was not sent again with
    /// another link.
    WhileInvitationIsOpen,
}

/// The settings that say how long links are valid.
#[derive(Clone, Copy, Debug)]
pub struct LinkTtls {
    /// The setting `verification.ttl`.
    pub verification: Duration,
    /// The setting `recovery.ttl`.
    pub recovery: Duration,
}

/// Declares the kinds of mail. `links` are mails that a client asks for, `notices` are mails that
/// report what happened.
macro_rules! mail_kinds {
    (
        links { $($link:ident = $link_module:ident,)+ }
        notices { $($notice:ident = $notice_module:ident,)+ }
    ) => {
        /// The kinds of mail. The files in `kinds/` say what each kind is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($link,)+
            $($notice,)+
        }

        /// The mails that a client asks for. Each contains a link for the owner of the email
        /// address, who has perhaps not proven the address yet. Before such a mail is written, it
        /// is counted in a budget of the recipient.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LinkKind {
            $($link,)+
        }

        /// The mails that report to a user what happened to the account.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum NoticeKind {
            $($notice,)+
        }

        impl NoticeKind {
            /// Every kind of notice.
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$notice,)+];
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$link,)+ $(Self::$notice,)+];

            pub(super) const fn declared(self) -> &'static MailKind {
                match self {
                    $(Self::$link => &$link_module::MAIL,)+
                    $(Self::$notice => &$notice_module::MAIL,)+
                }
            }
        }

        impl From<LinkKind> for Kind {
            fn from(kind: LinkKind) -> Self {
                match kind {
                    $(LinkKind::$link => Self::$link,)+
                }
            }
        }

        impl From<NoticeKind> for Kind {
            fn from(kind: NoticeKind) -> Self {
                match kind {
                    $(NoticeKind::$notice => Self::$notice,)+
                }
            }
        }
    };
}

mail_kinds! {
    links {
        Confirm = confirm,
        Recover = recover,
        ChangeEmail = change_email,
        Invitation = invitation,
    }
    notices {
        PasswordChanged = password_changed,
        SessionReused = session_reused,
        NewDevice = new_device,
        EmailChangeNotice = email_change_notice,
        FirstFactorAdded = first_factor_added,
        FactorAdded = factor_added,
        FactorRemoved = factor_removed,
        FactorsReset = factors_reset,
        RecoveryCodesReplaced = recovery_codes_replaced,
        RecoveryCodeUsed = recovery_code_used,
    }
}

impl Kind {
    /// The name in the table, in logs and in metrics.
    pub fn name(self) -> &'static str {
        self.declared().name
    }

    /// The kind with this name. `None` for a kind of a later release.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind of the link's token, if this token is in the token store.
    pub fn token(self) -> Option<TokenKind> {
        match self.declared().link {
            Link::StoredToken { token, .. } => Some(token),
            Link::None | Link::Page(_) | Link::RowToken { .. } => None,
        }
    }

    /// Whether the link contains a token.
    pub fn has_token(self) -> bool {
        matches!(self.declared().link, Link::StoredToken { .. } | Link::RowToken { .. })
    }

    /// The page that the link opens, below `public_url`.
    pub fn page(self) -> Option<&'static str> {
        match self.declared().link {
            Link::None => None,
            Link::Page(page) | Link::StoredToken { page, .. } | Link::RowToken { page, .. } => {
                Some(page)
            }
        }
    }

    /// How long the link is valid. Zero if the link has no token.
    pub fn link_ttl(self, ttls: &LinkTtls) -> Duration {
        match self.declared().link {
            Link::None | Link::Page(_) => Duration::ZERO,
            Link::StoredToken { ttl, .. } => ttl(ttls),
            Link::RowToken { ttl, .. } => ttl,
        }
    }
}
