//! The settings of mail: `mail.*`.

use super::settings;
use crate::config::kind::Kind::{Bool, Mailbox, SecretUrl};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::secret::Secret;

settings! {
    /// Sending mail
    Mail = "mail" {
        /// The SMTP server. Without it, mails stay in the built-in mailbox at `/dev/mailbox`. That
        /// page opens with the key in `<data_dir>/mailbox-key`, on this machine alone, and only
        /// while `public_url` and `http.listen` are loopback addresses.
        smtp_url: Option<Secret<String>> = "mail.smtp_url", SecretUrl(&["smtp", "smtps"]),
            Nothing("smtp://user:password@smtp.example.com:587?tls=required");
        /// The sender of every mail.
        from: String = "mail.from", Mailbox,
            Derived(
                "`latchkey <no-reply@HOST>` with the host of `public_url`",
                "latchkey <no-reply@example.com>",
            );
        /// Whether users get a mail about a login from a new device.
        new_device: bool = "mail.new_device", Bool, Is("true");
    }
}
