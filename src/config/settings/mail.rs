//! The settings of mail: `mail.*`.

use std::path::PathBuf;

use super::settings;
use super::stores::TLS_REQUIRED;
use crate::config::kind::Kind::{Bool, HeloName, Mailbox, Path, SecretUrl};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::secret::Secret;

settings! {
    /// Sending mail
    Mail = "mail" {
        /// The URL of the SMTP server. If you do not set this URL, mails stay in the built-in
        /// mailbox at `/dev/mailbox`. You need the key in `<data_dir>/mailbox-key` to open that
        /// page. The page opens only on this machine, and only if `public_url` and `http.listen`
        /// are loopback addresses.
        smtp_url: Option<Secret<String>> = "mail.smtp_url", SecretUrl(&["smtp", "smtps"]),
            Nothing("smtp://user:password@smtp.example.com:587?tls=required");
        /// The sender of every mail.
        from: String = "mail.from", Mailbox,
            Derived(
                "`latchkey <no-reply@HOST>` with the host of `public_url`",
                "latchkey <no-reply@example.com>",
            );
        /// The name with which latchkey introduces itself to the SMTP server, in EHLO. Many servers
        /// accept only a full domain name or an address literal such as `[203.0.113.7]`.
        helo: String = "mail.helo", HeloName,
            Derived(
                "the host of `public_url`, if it is a domain name, otherwise an address literal",
                "auth.example.com",
            );
        /// A file in PEM with the certificate authorities of your mail server. latchkey also trusts
        /// the authorities of the machine and the authorities that are compiled in.
        ca_file: Option<PathBuf> = "mail.ca_file", Path, Nothing("/etc/latchkey/mail-ca.pem");
        /// What happens if mails go to a server on another machine without encryption. `true`: an
        /// error. `false`: only a warning. Connections to loopback addresses need no encryption.
        tls_required: bool = "mail.tls_required", Bool, Derived(TLS_REQUIRED, "true");
        /// Whether users get a mail about a login from a new device.
        new_device: bool = "mail.new_device", Bool, Is("true");
    }
}
