//! Tests of `smtp.rs`: a panic of the client, and line ends.

use super::*;

#[tokio::test]
async fn a_panic_of_the_client_costs_one_attempt() {
    let delivery = async { panic!("a panic in lettre") };
    assert!(matches!(catching_panics(delivery).await, Err(Failure::Transient(_))));
}

#[test]
fn every_line_end_becomes_crlf() {
    for (given, sent) in [
        ("a\r.\r\nb", "a\r\n.\r\nb"),
        ("a\n.\nb\r", "a\r\n.\r\nb\r\n"),
        ("\r\r\n\n", "\r\n\r\n\r\n"),
        ("a\r\n.\r\n", "a\r\n.\r\n"),
    ] {
        assert_eq!(with_crlf(given.as_bytes().to_vec()), sent.as_bytes(), "{given:?}");
    }
}
