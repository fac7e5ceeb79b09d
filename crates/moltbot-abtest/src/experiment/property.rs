//! What holds whatever happens to a test, in whatever order.

use std::collections::HashMap;
use std::time::Duration;

use moltbot_types::Usage;
use proptest::prelude::*;

use super::*;
use crate::exposure::Memory;

#[derive(Clone, Debug)]
enum Step {
    Call {
        user: u8,
        by_name: bool,
    },
    /// The outcome of an earlier call, perhaps told before.
    Outcome {
        call: u8,
        success: bool,
    },
    Feedback {
        call: u8,
        value: f64,
    },
    Reweigh(f64),
    Stop,
    Promote,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (any::<u8>(), any::<bool>()).prop_map(|(user, by_name)| Step::Call { user, by_name }),
        20 => (any::<u8>(), any::<bool>()).prop_map(|(call, success)| Step::Outcome { call, success }),
        5 => (any::<u8>(), 0.0..=1.0).prop_map(|(call, value)| Step::Feedback { call, value }),
        1 => (0.1..9.0).prop_map(Step::Reweigh),
        1 => Just(Step::Stop),
        1 => Just(Step::Promote),
    ]
}

proptest! {
    #[test]
    fn counts_are_exact_arms_are_kept_and_rows_tell_all(
        steps in prop::collection::vec(step(), 0..300), sample_size in 1_u64..60,
    ) {
        let settings = Settings {
            name: "t".to_owned(),
            models: vec!["a".into(), "b".into(), "c".into()],
            sample_size,
            metric: "thumbs".to_owned(),
            ..Settings::default()
        };
        let store = Arc::new(Memory::default());
        let test = Experiment::open(settings.clone(), store.clone()).unwrap();
        let mut calls: Vec<(RequestId, UnitId)> = Vec::new();
        let mut told: HashMap<RequestId, bool> = HashMap::new();
        let mut arms: HashMap<UnitId, ModelName> = HashMap::new();
        for step in steps {
            match step {
                Step::Call { user, by_name } => {
                    let by = if by_name { By::Name } else { By::Model };
                    let request = RequestId::new();
                    let live = test.state().is_live();
                    let pick = test.pick(by, Some(&user.to_string()), request, |_| true).unwrap();
                    prop_assert!(live || pick.unit.is_none());
                    if let Some(unit) = pick.unit {
                        let first = arms.entry(unit).or_insert_with(|| pick.model.clone());
                        prop_assert_eq!(&*first, &pick.model);
                        calls.push((request, unit));
                    }
                }
                Step::Outcome { call, success } => {
                    let Some((request, unit)) = calls.get(usize::from(call)).copied() else { continue };
                    told.entry(request).or_insert(success);
                    test.record(Outcome {
                        request,
                        unit,
                        success,
                        latency: Duration::from_millis(u64::from(call)),
                        first_token: None,
                        usage: Usage::default(),
                        cost: 0.0,
                        fallback: None,
                    }).unwrap();
                }
                Step::Feedback { call, value } => {
                    let Some((request, _)) = calls.get(usize::from(call)).copied() else { continue };
                    let known = test.feedback(request, "thumbs", value).unwrap();
                    prop_assert_eq!(known, told.contains_key(&request));
                }
                Step::Reweigh(weight) => {
                    let running = test.state() == State::Running;
                    prop_assert_eq!(test.reweigh(&[1.0, weight, 2.0]).is_ok(), running);
                }
                Step::Stop => {
                    let promoted = test.state() == State::Promoted;
                    prop_assert_eq!(test.stop().is_ok(), !promoted);
                }
                Step::Promote => {
                    if test.promote(Some("c")).is_ok() {
                        prop_assert_eq!(test.state(), State::Promoted);
                    }
                }
            }
        }
        let report = test.report();
        prop_assert_eq!(report.units, arms.len() as u64);
        prop_assert!(report.units <= sample_size);
        prop_assert_eq!(report.arms.iter().map(|arm| arm.units).sum::<u64>(), report.units);
        prop_assert_eq!(report.arms.iter().map(|arm| arm.calls).sum::<u64>(), told.len() as u64);
        for row in &report.comparisons {
            prop_assert!((0.0..=1.0).contains(&row.p));
        }
        let again = Experiment::open(settings, store).unwrap();
        prop_assert_eq!(again.report(), report);
    }
}
