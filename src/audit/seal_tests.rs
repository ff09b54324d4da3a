//! Tests of `seal.rs`.

use proptest::prelude::*;

use super::*;

fn any_row() -> impl Strategy<Value = audit_event::Model> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3));
    // The texts are short and have few different letters, so that many rows are almost equal.
    let text = || "[a\\x00]{0,3}";
    (
        (0..3_u128, 0..3_u128, -2..3_i64, -2..3_i64),
        (text(), text(), text(), text(), text(), text()),
        (bytes(), bytes()),
    )
        .prop_map(|((id, stream, seq, at), texts, (actor, subject))| audit_event::Model {
            id: Uuid::from_u128(id),
            stream_id: Uuid::from_u128(stream),
            seq,
            at,
            action: texts.0,
            outcome: texts.1,
            actor_kind: texts.2,
            trace_id: texts.3,
            actor_commitment: actor,
            subject_commitment: subject,
            detail: texts.4,
            key_id: texts.5,
            mac: Vec::new(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_two_different_rows_encode_alike(
        a in any_row(),
        b in any_row(),
        before_a in proptest::collection::vec(any::<u8>(), 0..3),
        before_b in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let same = a == b && before_a == before_b;
        prop_assert_eq!(encode_event(&before_a, &a) == encode_event(&before_b, &b), same);
    }

    #[test]
    fn text_moved_to_the_next_column_is_another_row(row in any_row(), cut in 0..4_usize) {
        let whole = format!("{}{}", row.action, row.outcome);
        let (action, outcome) = whole.split_at(cut.min(whole.len()));
        let moved = audit_event::Model {
            action: action.to_owned(),
            outcome: outcome.to_owned(),
            ..row.clone()
        };
        let same = moved == row;
        prop_assert_eq!(encode_event(&[], &row) == encode_event(&[], &moved), same);
    }
}

fn a_place(mac: &[u8]) -> Place<'_> {
    Place {
        stream_id: Uuid::nil(),
        kind: "person",
        team_id: None,
        user_id: None,
        erased: 0,
        seq: 1,
        at: 0,
        mac,
        key_id: "k",
    }
}

#[test]
fn a_head_is_no_base_and_neither_is_a_row() {
    let place = a_place(&GENESIS);
    let (head, base) = (encode_end(End::Head, &place), encode_end(End::Base, &place));
    assert_ne!(head, base);
    let key = [7; 32];
    assert_ne!(end_seal(&key, End::Head, &place), end_seal(&key, End::Base, &place));
    assert_ne!(end_seal(&key, End::Head, &place), end_seal(&[8; 32], End::Head, &place));
}

#[test]
fn each_part_of_an_end_is_sealed() {
    let (mac, other) = ([1; 32], [2; 32]);
    let place = a_place(&mac);
    for changed in [
        Place { stream_id: Uuid::max(), ..place },
        Place { kind: "team", ..place },
        Place { team_id: Some(Uuid::nil()), ..place },
        Place { user_id: Some(Uuid::nil()), ..place },
        Place { erased: 1, ..place },
        Place { seq: 2, ..place },
        Place { at: 1, ..place },
        Place { mac: &other, ..place },
        Place { key_id: "l", ..place },
    ] {
        assert_ne!(encode_end(End::Head, &place), encode_end(End::Head, &changed), "{changed:?}");
    }
}

#[test]
fn a_commitment_depends_on_salt_and_body() {
    let kept = commitment(&[1; 32], "{}");
    assert_ne!(kept, commitment(&[2; 32], "{}"));
    assert_ne!(kept, commitment(&[1; 32], "{ }"));
    assert_eq!(kept, commitment(&[1; 32], "{}"));
}
