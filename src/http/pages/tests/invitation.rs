//! Tests of the page of an invitation.

use super::super::{FactorError, Invited, invited};
use crate::factor::FactorMethod;
use crate::mail::Locale;

/// The page in every state and every language. Every input is `words`.
pub(super) fn gallery(words: &str) -> Vec<(String, String)> {
    let token = words;
    let offered = |inviter, error| Invited::Ready {
        token,
        inviter,
        team: words,
        role: words,
        email_masked: words,
        expires_at: 0,
        error,
    };
    let both = [FactorMethod::Totp, FactorMethod::RecoveryCode];
    let all = [FactorMethod::Totp, FactorMethod::Passkey, FactorMethod::RecoveryCode];
    let ask = |methods, passkey, error| Invited::Factor {
        token,
        challenge: words,
        methods,
        passkey,
        team: words,
        error,
    };
    let asked = |methods, error| ask(methods, None, error);
    let refused = |method, retry_after_s| Some(FactorError { method, text: words, retry_after_s });
    let invitation = [
        offered(Some(words), None),
        offered(None, None),
        offered(Some(words), Some(words)),
        Invited::Accepted { team: words },
        Invited::Invalid,
        Invited::Refused { why: words },
        Invited::FactorNeeded { team: words },
        asked(&both, None),
        asked(&both, refused(FactorMethod::Totp, None)),
        asked(&both, refused(FactorMethod::RecoveryCode, None)),
        asked(&both, refused(FactorMethod::Totp, Some(30))),
        asked(&both[..1], None),
        asked(&both[1..], None),
        ask(&all, Some(words), None),
        ask(&all, Some(words), refused(FactorMethod::Passkey, None)),
        ask(&all[1..], Some(words), None),
    ];
    let drawn = |locale| {
        invitation.iter().map(move |it| (format!("{locale:?} {it:?}"), invited(locale, it)))
    };
    Locale::ALL.into_iter().flat_map(drawn).collect()
}

#[test]
fn a_code_can_be_pasted_and_filled_in_by_the_browser_and_a_recovery_code_has_its_own_form() {
    let methods = [FactorMethod::Totp, FactorMethod::RecoveryCode];
    let page = |methods, error| {
        let (token, challenge, team) = ("t", "lkc_c", "Team");
        let passkey = None;
        let state = Invited::Factor { token, challenge, methods, passkey, team, error };
        (state.status(), invited(Locale::En, &state))
    };
    let (status, shown) = page(&methods, None);
    assert_eq!(status, 200);
    assert!(shown.contains("inputmode=\"numeric\" required autocomplete=\"one-time-code\""));
    assert!(!shown.contains("maxlength") && !shown.contains("pattern="), "{shown}");
    assert_eq!(shown.matches("name=\"challenge\" value=\"lkc_c\"").count(), 2);
    assert!(shown.contains("<details>"), "the recovery code is offered, but closed: {shown}");
    let text = "It is wrong.";
    let wrong = |method| Some(FactorError { method, text, retry_after_s: None });
    let (status, shown) = page(&methods, wrong(FactorMethod::RecoveryCode));
    assert_eq!(status, 422);
    assert!(shown.contains("<details open>"), "{shown}");
    assert!(shown.contains("aria-describedby=\"recovery-code-hint recovery-code-error\""));
    let early = FactorError { method: FactorMethod::Totp, text, retry_after_s: Some(30) };
    let (status, shown) = page(&methods, Some(early));
    assert_eq!(status, 429);
    assert!(shown.contains("aria-describedby=\"code-hint code-error\" aria-invalid=\"true\""));
    assert!(!page(&methods[..1], None).1.contains("<details"), "no recovery code is left");
}
