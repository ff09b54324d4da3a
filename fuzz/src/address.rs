//! The fuzz harness for email addresses.

use latchkey::user::EmailAddress;

/// Checks that all spellings of an accepted email address have the same normal form. It also checks
/// that the normal form cannot add a second line to an SMTP dialogue.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(address) = EmailAddress::parse(text) else { return };
    let normal = address.normal();
    assert_eq!(address.as_typed(), text);
    assert!(normal.len() <= 254 && address.local().len() <= 64);
    assert_eq!(format!("{}@{}", address.local(), address.domain()), normal);
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    assert!(!normal.contains(['<', '>', '"', '(', ')', ',', ':', ';', '\\', '[', ']']));
    assert_eq!(normal.matches('@').count(), 1);
    assert!(address.domain().contains('.') && !address.domain().ends_with('.'));
    assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()));
    same(&address, normal);
    same(&address, &normal.to_ascii_uppercase());
    same(&address, &text.to_ascii_uppercase());
    same(&address, &text.to_ascii_lowercase());
    // The same domain in Unicode letters (U-labels) must give the same account, if the address with
    // this domain is valid.
    let (unicode, _) = idna::domain_to_unicode(address.domain());
    if let Ok(other) = EmailAddress::parse(&format!("{}@{unicode}", address.local())) {
        assert!(other == address, "{unicode} is {}", other.normal());
    }
    // The mailer converts the domain that the user typed. The converted domain must be the domain
    // of the normal form.
    let (local, domain) = text.rsplit_once('@').expect("an @");
    let domain = idna::domain_to_ascii(domain).expect("a domain");
    let envelope = lettre::Address::new(local, domain).expect("what we take can be mailed");
    assert_eq!(envelope.to_string().to_ascii_lowercase(), normal);
}

fn same(address: &EmailAddress, spelling: &str) {
    let other = EmailAddress::parse(spelling);
    assert!(other.is_ok_and(|other| other == *address), "{spelling}");
}
