//! A test of the rotation with events in random order. It checks that replicas and verifiers accept
//! every token until the token expires.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::clock::Clock;
use crate::config::VaultAlgorithm;
use crate::token::KeyRing;
use crate::token::keys::tests::fixture;

#[derive(Clone, Debug)]
enum Event {
    /// Some seconds pass. Then some replicas read the keys.
    Pass { seconds: u64, turns: [bool; 2] },
    /// Both replicas read the keys at the same time.
    Race,
    /// A replica restarts.
    Restart(usize),
    /// An operator rotates the keys by hand.
    Rotate(Kind),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1..=120_u64, any::<[bool; 2]>())
            .prop_map(|(seconds, turns)| Event::Pass { seconds, turns }),
        2 => Just(Event::Race),
        2 => (0..2_usize).prop_map(Event::Restart),
        1 => prop_oneof![Just(Kind::User), Just(Kind::Vault)].prop_map(Event::Rotate),
    ]
}

/// The longest time in which a replica does not read the keys. It is the time of six missed
/// readings. [`PUBLISH_AHEAD`] is long enough for this.
const UNREAD_MAX_MS: i64 = 180_000;
/// How long verifiers cache the JWKS.
const CACHED_MS: i64 = 300_000;

struct Replica {
    ring: KeyRing,
    read_at: UnixMillis,
}

/// A service that caches the JWKS of one replica for the longest allowed time.
struct Verifier {
    kids: Vec<String>,
    fetched_at: UnixMillis,
}

impl Verifier {
    fn fetch(ring: &KeyRing, now: UnixMillis) -> Self {
        let keys = ring.current();
        let kids = keys.jwks().iter().filter_map(|key| key.common.key_id.clone());
        Self { kids: kids.collect(), fetched_at: now }
    }
}

/// The parts of a token that depend on its key.
struct Minted {
    header: String,
    kid: String,
    kind: Kind,
    ends_at: UnixMillis,
}

struct World {
    needs: KeyDependencies,
    clock: Clock,
    replicas: Vec<Replica>,
    verifiers: Vec<Verifier>,
    minted: Vec<Minted>,
}

impl World {
    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass { seconds, turns } => {
                self.clock.advance(Duration::from_secs(*seconds));
                for (at, turn) in turns.iter().enumerate() {
                    let late = self.clock.now() + 120_000 - self.replicas[at].read_at;
                    if *turn || late > UNREAD_MAX_MS {
                        self.replicas[at].ring.turn().await.unwrap();
                        self.replicas[at].read_at = self.clock.now();
                    }
                }
            }
            Event::Race => {
                let [one, two] = self.replicas.as_slice() else { unreachable!() };
                let (one, two) = tokio::join!(one.ring.turn(), two.ring.turn());
                one.and(two).unwrap();
                for replica in &mut self.replicas {
                    replica.read_at = self.clock.now();
                }
            }
            Event::Restart(at) => {
                let ring = KeyRing::load(self.needs.clone()).await.unwrap();
                self.replicas[*at] = Replica { ring, read_at: self.clock.now() };
            }
            Event::Rotate(kind) => {
                self.needs.rotate(*kind).await.unwrap();
            }
        }
    }

    fn mint_and_verify(&mut self) {
        let now = self.clock.now();
        for replica in &self.replicas {
            let keys = replica.ring.current();
            for (key, ttl) in
                [(&keys.user, self.needs.absolute_ttl), (&keys.vault, self.needs.tokens.vault_ttl)]
            {
                self.minted.push(Minted {
                    header: key.header.clone(),
                    kid: key.id.clone(),
                    kind: key.kind,
                    ends_at: now + millis(ttl),
                });
            }
        }
        self.minted.retain(|token| now < token.ends_at);
        for (at, verifier) in self.verifiers.iter_mut().enumerate() {
            if now - verifier.fetched_at >= CACHED_MS {
                *verifier = Verifier::fetch(&self.replicas[at].ring, now);
            }
        }
        for token in &self.minted {
            for replica in &self.replicas {
                let keys = replica.ring.current();
                assert!(keys.by_header(&token.header).is_some(), "a replica refuses {}", token.kid);
            }
            if token.kind == Kind::Vault {
                for verifier in &self.verifiers {
                    assert!(verifier.kids.contains(&token.kid), "a verifier refuses {}", token.kid);
                }
            }
        }
    }
}

async fn run(events: &[Event]) {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let mut needs = fixture.needs.clone();
    // The periods are short, so that keys are published, begin to sign, are retired and are deleted
    // during the test.
    needs.tokens.rotate_every = Duration::from_mins(20);
    needs.absolute_ttl = Duration::from_mins(30);
    let now = needs.clock.now();
    let mut replicas = Vec::new();
    for _ in 0..2 {
        replicas.push(Replica { ring: KeyRing::load(needs.clone()).await.unwrap(), read_at: now });
    }
    let verifiers = replicas.iter().map(|replica| Verifier::fetch(&replica.ring, now)).collect();
    let clock = needs.clock.clone();
    let mut world = World { needs, clock, replicas, verifiers, minted: Vec::new() };
    for event in events {
        world.happen(event).await;
        world.mint_and_verify();
    }
}

#[test]
fn whatever_happens_no_token_is_unverifiable_before_its_end() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let events = proptest::collection::vec(event(), 60..120);
    TestRunner::new(config)
        .run(&events, |events| {
            runtime.block_on(run(&events));
            Ok(())
        })
        .unwrap();
}

/// During a day with many rotations, the table does not grow.
#[tokio::test]
async fn rows_go_when_their_last_token_has_ended() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let mut needs = fixture.needs.clone();
    needs.tokens.rotate_every = Duration::from_hours(1);
    needs.absolute_ttl = Duration::from_hours(3);
    let ring = KeyRing::load(needs.clone()).await.unwrap();
    let of_store = async || {
        let keys = needs.list().await.unwrap();
        keys.into_iter().filter(|it| it.kind == "store").map(|it| it.id).collect::<Vec<_>>()
    };
    let before = of_store().await;
    let mut signed = std::collections::HashSet::new();
    for _ in 0..24 * 20 {
        needs.clock.advance(Duration::from_mins(3));
        ring.turn().await.unwrap();
        signed.insert(ring.current().vault.id.clone());
    }
    assert!((22..=25).contains(&signed.len()), "{}", signed.len());
    // For each kind of token, one key signs and at most one more key is published. Retired keys of
    // userTokens stay for 3 h 10 min, and those of vaultTokens for 15 min. The key of the token
    // store is not rotated.
    let rows = needs.list().await.unwrap().len();
    assert!(rows <= 4 + 4 + 1 + 1, "{rows}");
    assert_eq!((of_store().await, before.len()), (before, 1));
}
