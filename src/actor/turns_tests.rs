//! Tests of `turns.rs`.

use proptest::prelude::*;

use super::*;

fn share(number: u64) -> PermitHolder {
    PermitHolder::numbered(number)
}

fn all<T>(turns: &mut Turns<T>) -> Vec<(PermitHolder, T)> {
    std::iter::from_fn(|| turns.pop()).collect()
}

#[test]
fn who_brings_ten_times_as_much_delays_nobody_beyond_one_turn() {
    let mut turns = Turns::default();
    for job in 0..100 {
        turns.push(share(1), job);
    }
    for job in 0..10 {
        turns.push(share(2), job);
    }
    let served = all(&mut turns);
    for job in 0..10 {
        let at = served.iter().position(|it| *it == (share(2), job)).unwrap();
        let turn = usize::try_from(job).unwrap();
        assert!(at <= 2 * turn + 1, "job {job} came {at}th");
    }
    assert_eq!(served.len(), 110);
}

#[test]
fn who_comes_anew_waits_for_one_job_of_each_other_alone() {
    let mut turns = Turns::default();
    for crowd in 0..50 {
        for job in 0..20 {
            turns.push(share(crowd), job);
        }
    }
    turns.pop();
    turns.push(share(99), 0);
    let before = all(&mut turns).iter().position(|(whose, _)| *whose == share(99));
    assert_eq!(before, Some(50));
}

/// An operation on a queue.
#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Pop,
    Forget(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..5).prop_map(Step::Push),
        3 => Just(Step::Pop),
        1 => (2_u32..4).prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn everything_comes_out_once_in_its_own_order_and_nobody_starves(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut turns = Turns::default();
        let mut model: Vec<(PermitHolder, u32)> = Vec::new();
        let mut waited: HashMap<PermitHolder, usize> = HashMap::new();
        for (number, step) in (0_u32..).zip(steps) {
            match step {
                Step::Push(whose) => {
                    turns.push(share(whose), number);
                    model.push((share(whose), number));
                    waited.entry(share(whose)).or_default();
                }
                Step::Pop => {
                    prop_assert_eq!(turns.peek().is_some(), !model.is_empty());
                    let next = turns.peek().copied();
                    let Some((whose, item)) = turns.pop() else { continue };
                    prop_assert_eq!(Some(item), next);
                    let first = model.iter().position(|(share, _)| *share == whose).unwrap();
                    prop_assert_eq!(model.remove(first).1, item);
                    waited.insert(whose, 0);
                    waited.retain(|whose, _| model.iter().any(|(share, _)| share == whose));
                    for (other, turns) in &mut waited {
                        *turns += usize::from(*other != whose);
                        prop_assert!(*turns <= 5, "five are in turn");
                    }
                }
                Step::Forget(every) => {
                    turns.retain(|item| *item % every != 0);
                    model.retain(|(_, item)| item % every != 0);
                    waited.retain(|whose, _| model.iter().any(|(share, _)| share == whose));
                }
            }
            prop_assert_eq!(turns.len(), model.len());
            prop_assert!(turns.queues.len() <= turns.len(), "no queue of nobody");
            prop_assert_eq!(turns.queues.len(), turns.order.len());
        }
    }
}
