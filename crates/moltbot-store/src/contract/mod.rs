//! What every backend must do, as cases that panic where it does not.
//!
//! [`contract!`](crate::contract!) makes a test of each case. A role adds its file here, and its cases to the list.

pub mod counters;
pub mod experiments;
pub mod keys;
pub mod kv;
pub mod ledger;

/// Makes one `#[tokio::test]` of each case, each with a store of its own from the expression given.
#[macro_export]
macro_rules! contract {
    ($store:expr) => {
        $crate::contract! {
            @cases $store;
            keys: a_kept_key_is_found_in_its_workspace_alone, an_id_is_taken_once, a_revoked_key_keeps_its_first_time,
                a_rotated_key_names_its_heir, only_a_key_in_use_is_rotated, the_latest_use_counts;
            ledger: sums_are_exact_by_workspace_model_key_and_day, a_row_told_twice_counts_once,
                a_query_narrows, a_request_is_found_in_its_workspace_alone, sums_outlive_their_rows;
            counters: the_last_state_counts, old_counters_are_forgotten;
            kv: values_are_of_their_workspace_and_skill, a_large_value_is_refused;
            experiments: a_name_is_taken_once_in_a_workspace, rows_come_back_in_order_and_count_once,
                the_last_judgement_counts, a_request_leads_to_its_experiment;
        }
    };
    (@cases $store:expr; $($role:ident: $($case:ident),+;)+) => {
        $(mod $role {
            $(#[tokio::test]
            async fn $case() {
                let (store, _kept) = $store.await;
                $crate::contract::$role::$case(&store).await;
            })+
        })+
    };
}

use jiff::Timestamp;

/// `seconds` after a fixed time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("within range")
}
