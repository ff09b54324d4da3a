//! A parser for mails that come from the built-in mailbox (JSON) or by SMTP (RFC 5322, 2045, 2047).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// The id of the mail in the mailbox, or its number in the SMTP sink.
    pub id: String,
    /// The `Message-ID`, if the mail came by SMTP.
    pub message_id: Option<String>,
    /// The name of the template, if the mail came from the mailbox.
    pub kind: Option<String>,
    pub from: String,
    /// The recipient in the envelope.
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The first link in the mail that has a token.
    pub link: Option<String>,
    /// The token in that link.
    pub token: Option<String>,
}

impl Mail {
    /// Parses one mail in the list of the built-in mailbox.
    pub fn from_mailbox(item: &Value) -> Self {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        let list = |name: &str| match &item[name] {
            Value::Array(values) => values.first().and_then(Value::as_str).map(str::to_owned),
            other => other.as_str().map(str::to_owned),
        };
        Self {
            id: text("id").expect("a mail in the mailbox has an id"),
            message_id: text("messageId"),
            kind: text("kind"),
            from: text("from").unwrap_or_default(),
            to: list("to").unwrap_or_default(),
            subject: text("subject").unwrap_or_default(),
            text: text("text").unwrap_or_default(),
            html: text("html").unwrap_or_default(),
            link: text("link"),
            token: text("token"),
        }
    }

    /// Parses a mail from the SMTP sink. `to` is the recipient in the envelope, and `data` is the
    /// text after DATA.
    pub fn from_wire(number: usize, to: &str, data: &str) -> Self {
        let part = Part::parse(data);
        let text = part.find("text/plain").unwrap_or_default();
        let link = link_with_token(&text);
        Self {
            id: number.to_string(),
            message_id: part.header("message-id").map(str::to_owned),
            kind: None,
            from: part.header("from").map(decode_words).unwrap_or_default(),
            to: to.to_owned(),
            subject: part.header("subject").map(decode_words).unwrap_or_default(),
            html: part.find("text/html").unwrap_or_default(),
            token: link.as_deref().and_then(token_of),
            link,
            text,
        }
    }

    /// Returns the token in the link. Fails the test if the mail has no link with a token.
    #[track_caller]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_else(|| panic!("no token in this mail: {}", self.text))
    }
}

/// Returns the line that is a link with a token. Mails have this link on a line of its own.
fn link_with_token(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .find(|line| line.starts_with("http") && line.contains("token="))
        .map(str::to_owned)
}

fn token_of(link: &str) -> Option<String> {
    let (_, rest) = link.split_once("token=")?;
    rest.split(['&', '#']).next().map(str::to_owned)
}

/// A MIME entity: its headers (names in lower case, unfolded) and its encoded body.
struct Part<'a> {
    headers: Vec<(String, String)>,
    body: &'a str,
}

impl<'a> Part<'a> {
    fn parse(entity: &'a str) -> Self {
        let (head, body) = entity.split_once("\r\n\r\n").unwrap_or((entity, ""));
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = unfolded
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the decoded body of the first part with this type, at any depth.
    fn find(&self, content_type: &str) -> Option<String> {
        let own = self.header("content-type").unwrap_or("text/plain");
        if let Some(boundary) = boundary(own) {
            let marker = format!("--{boundary}");
            return self
                .body
                .split(marker.as_str())
                .skip(1)
                .take_while(|piece| !piece.starts_with("--"))
                .find_map(|piece| {
                    Part::parse(piece.trim_start_matches("\r\n")).find(content_type)
                });
        }
        own.to_ascii_lowercase().starts_with(content_type).then(|| self.decoded())
    }

    fn decoded(&self) -> String {
        let encoding = self.header("content-transfer-encoding").unwrap_or("7bit");
        let bytes = match encoding.to_ascii_lowercase().as_str() {
            "quoted-printable" => quoted_printable(self.body),
            "base64" => {
                let packed: String = self.body.split_whitespace().collect();
                STANDARD.decode(packed).expect("a base64 part is base64")
            }
            _ => self.body.as_bytes().to_vec(),
        };
        String::from_utf8(bytes).expect("a text part is UTF-8").replace("\r\n", "\n")
    }
}

/// Returns the parameter `boundary` of a multipart type.
fn boundary(content_type: &str) -> Option<String> {
    if !content_type.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let (_, rest) = content_type.split_once("boundary=")?;
    Some(match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => rest.split(';').next().unwrap_or_default().trim().to_owned(),
    })
}

/// Decodes quoted-printable (RFC 2045 §6.7): a soft line break is removed, and `=XX` is a byte.
fn quoted_printable(text: &str) -> Vec<u8> {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = others;
            }
        }
    }
    bytes
}

/// Decodes encoded words (RFC 2047): `=?utf-8?b?…?=` and `=?utf-8?q?…?=`. The space between two
/// encoded words is removed.
fn decode_words(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, word)) = rest.split_once("=?") {
        let mut fields = word.splitn(4, '?');
        let (_charset, encoding, payload, after) =
            (fields.next(), fields.next(), fields.next(), fields.next());
        let (Some(encoding), Some(payload), Some(after)) = (encoding, payload, after) else {
            break;
        };
        if !before.trim().is_empty() || text.is_empty() {
            text.push_str(before);
        }
        let bytes = if encoding.eq_ignore_ascii_case("b") {
            STANDARD.decode(payload).expect("an encoded word is base64")
        } else {
            quoted_printable(&payload.replace('_', " "))
        };
        text.push_str(&String::from_utf8(bytes).expect("an encoded word is UTF-8"));
        rest = after.strip_prefix('=').unwrap_or(after);
    }
    text.push_str(rest);
    text
}

#[test]
fn a_multipart_mail_is_read_in_full() {
    let data = "From: =?utf-8?b?TGF0Y2hrZXk=?= <auth@latchkey.test>\r\nTo: ada@example.com\r\n\
        Message-ID: <1@latchkey.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_an_Ada?=\r\n\
        Content-Type: multipart/alternative;\r\n boundary=\"b1\"\r\n\r\n\
        --b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Hello,\r\nhttps://latchkey.test/verify-email?token=3Dabc=\r\n-def&x=3D1\r\n\r\n\
        --b1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        PGI+SGk8L2I+\r\n--b1--\r\n";
    let mail = Mail::from_wire(0, "ada@example.com", data);
    assert_eq!(mail.subject, "Grüße an Ada");
    assert_eq!(mail.from, "Latchkey <auth@latchkey.test>");
    assert_eq!(mail.html.trim(), "<b>Hi</b>");
    assert_eq!(mail.token(), "abc-def");
    assert_eq!(mail.link.as_deref(), Some("https://latchkey.test/verify-email?token=abc-def&x=1"));
    assert_eq!(mail.message_id.as_deref(), Some("<1@latchkey.test>"));
}

#[test]
fn a_mail_of_the_mailbox_is_read_by_its_members() {
    let mail = Mail::from_mailbox(&serde_json::json!({
        "id": "1", "kind": "verification", "to": ["ada@example.com"], "token": "abc", "link": "https://x/?token=abc",
    }));
    assert_eq!((mail.kind.as_deref(), mail.to.as_str()), (Some("verification"), "ada@example.com"));
    assert_eq!(mail.token(), "abc");
}
